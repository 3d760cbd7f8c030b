{{/* What the programs read, but for secrets of their own. */}}
{{- define "concordat.sharedVolumes" -}}
- name: config
  configMap:
    name: {{ include "concordat.fullname" . }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with .Values.database.postgresql.rootCertificate }}
- name: database-root
  {{- include "concordat.source" . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "concordat.sharedMounts" -}}
- {name: config, mountPath: /etc/concordat/config, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if .Values.database.postgresql.rootCertificate }}
- {name: database-root, mountPath: /etc/concordat/database-root, readOnly: true}
{{- end }}
{{- end -}}

{{/* A ConfigMap or a Secret as a volume: whole, so that a change of it arrives. Only the group of the pod reads it. */}}
{{- define "concordat.source" -}}
{{- if .configMap -}}
configMap:
  name: {{ .configMap }}
  defaultMode: 0440
{{- else -}}
secret:
  secretName: {{ .secret }}
  defaultMode: 0440
{{- end -}}
{{- end -}}

{{/*
What the values put into the environment of each program that reads node.toml, and after it what is the container's own, of
which the values say nothing.
*/}}
{{- define "concordat.environment" -}}
{{- $names := list -}}
{{- range .own }}{{ $names = append $names .name }}{{ end -}}
{{- $variables := list -}}
{{- range .root.Values.extraEnv }}{{ if not (has (upper .name) $names) }}{{ $variables = append $variables . }}{{ end }}{{ end -}}
{{- with concat $variables (.own | default list) }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A container that brings the tables up to date, as the role that owns them. */}}
{{- define "concordat.migration" -}}
name: migrate
image: {{ include "concordat.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [migrate, --config, /etc/concordat/config/node.toml]
{{- $database := include "concordat.database" (dict "root" . "user" .Values.migrations.user) }}
{{- $password := printf "/etc/concordat/migration/%s" .Values.migrations.passwordKey }}
{{- include "concordat.environment" (dict "root" . "own" (list
  (dict "name" "CONCORDAT__NODE__DATABASE" "value" $database)
  (dict "name" "CONCORDAT__NODE__DATABASE_PASSWORD_FILE" "value" $password))) }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
volumeMounts:
  {{- include "concordat.sharedMounts" . | nindent 2 }}
  - {name: migration, mountPath: /etc/concordat/migration, readOnly: true}
{{- end -}}

{{- define "concordat.migrationVolume" -}}
- name: migration
  {{- include "concordat.source" (dict "secret" .Values.migrations.existingSecret) | nindent 2 }}
{{- end -}}

{{/* The pods of a Job that migrates. */}}
{{- define "concordat.migrationTemplate" -}}
metadata:
  labels:
    {{- include "concordat.labels" . | nindent 4 }}
    app.kubernetes.io/component: migration
spec:
  {{- include "concordat.pod" . | nindent 2 }}
  restartPolicy: Never
  containers:
    -
      {{- include "concordat.migration" . | nindent 6 }}
  volumes:
    {{- include "concordat.sharedVolumes" . | nindent 4 }}
    {{- include "concordat.migrationVolume" . | nindent 4 }}
{{- end -}}

{{/* What every pod of the release says. */}}
{{- define "concordat.pod" -}}
serviceAccountName: {{ include "concordat.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if not (kindIs "invalid" .Values.hostUsers) }}
hostUsers: {{ .Values.hostUsers }}
{{- end }}
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

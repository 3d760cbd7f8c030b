{{- define "concordat.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* Short enough for every suffix that we add. */}}
{{- define "concordat.fullname" -}}
{{- $name := include "concordat.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "concordat.selector" -}}
app.kubernetes.io/name: {{ include "concordat.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "concordat.labels" -}}
{{ include "concordat.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "concordat.image" -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "concordat.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "concordat.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "concordat.tlsSecret" -}}
{{- .Values.tls.existingSecret | default (printf "%s-tls" (include "concordat.fullname" .)) -}}
{{- end -}}

{{/*
A Bundle's name in the whole cluster. No namespace and no name of `trust` has a dot, so that no two of them are one. What
trust-manager makes bears the name as a label's value, which has 63 characters at most.
*/}}
{{- define "concordat.bundle" -}}
{{- $name := printf "%s.%s.%s" .root.Release.Namespace (include "concordat.fullname" .root) .name -}}
{{- if le (len $name) 63 }}{{ $name }}{{ else }}{{ printf "%s-%s" (trunc 54 $name | trimAll "-.") (sha256sum $name | trunc 8) }}{{ end -}}
{{- end -}}

{{/* Whether a container or a Job migrates, with credentials of its own. */}}
{{- define "concordat.migrates" -}}
{{- if and (eq .Values.database.type "postgresql") (ne .Values.migrations.mode "none") }}yes{{ end -}}
{{- end -}}

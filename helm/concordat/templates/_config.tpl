{{/*
node.toml, from `config` and from what the chart knows. Everything below a section is written inline, which TOML allows.
Its listeners take both families of addresses, as Linux does at [::] unless net.ipv6.bindv6only is set.
*/}}
{{- define "concordat.config" -}}
{{- $own := dict
  "node" (dict
    "listen" "[::]:8443"
    "database" (include "concordat.database" (dict "root" . "user" .Values.database.postgresql.user))
    "secret_file" (printf "/etc/concordat/node-secret/%s" .Values.nodeSecret.key)
    "ledger_key_file" (printf "/etc/concordat/ledger-key/%s" .Values.ledgerKey.key))
  "tls" (dict
    "certificate_file" (printf "/etc/concordat/tls/%s" .Values.tls.certificateKey)
    "key_file" (printf "/etc/concordat/tls/%s" .Values.tls.privateKeyKey))
  "ops" (dict "enabled" true "listen" (printf "[::]:%d" (int .Values.ops.port))) -}}
{{- if eq .Values.database.type "postgresql" -}}
{{- $_ := set $own.node "migrate" false -}}
{{- $_ := set $own.node "database_password_file" (printf "/etc/concordat/database/%s" .Values.database.postgresql.passwordKey) -}}
{{- end -}}
{{- with .Values.trustedCheckpoint.key -}}
{{- $_ := set $own.node "trusted_checkpoint_files" (list (printf "/etc/concordat/trusted-checkpoint/%s" .)) -}}
{{- end -}}
{{- if .Values.agreements -}}
{{- $_ := set $own.node "agreements" "/etc/concordat/agreements" -}}
{{- end -}}
{{- $config := mergeOverwrite (deepCopy (.Values.config | default dict)) $own -}}
{{- range $section, $keys := omit $config "agency" }}
{{- if $keys }}
[{{ $section }}]
{{- range $key, $value := $keys }}
{{ $key }} = {{ include "concordat.toml" (dict "key" $key "value" $value) }}
{{- end }}
{{ end }}
{{- end }}
{{- range $config.agency }}
[[agency]]
{{- range $key, $value := . }}
{{ $key }} = {{ include "concordat.toml" (dict "key" $key "value" $value) }}
{{- end }}
{{ end }}
{{- end -}}

{{/* A value of TOML on one line. A file of `trust` becomes the path at which it is mounted. */}}
{{- define "concordat.toml" -}}
{{- $value := .value -}}
{{- if kindIs "map" $value -}}
{ {{ range $place, $key := keys $value | sortAlpha -}}
{{- if $place }}, {{ end }}{{ $key }} = {{ include "concordat.toml" (dict "key" $key "value" (get $value $key)) }}
{{- end }} }
{{- else if kindIs "slice" $value -}}
[{{ range $place, $item := $value }}{{ if $place }}, {{ end }}{{ include "concordat.toml" (dict "key" "" "value" $item) }}{{ end }}]
{{- else if kindIs "string" $value -}}
{{- if and (hasSuffix "_file" .key) (not (hasPrefix "/" $value)) -}}
{{ printf "/etc/concordat/trust/%s" $value | toJson }}
{{- else -}}
{{ $value | toJson }}
{{- end -}}
{{- else if kindIs "float64" $value -}}
{{ ternary (int64 $value) $value (eq (floor $value) $value) }}
{{- else -}}
{{ $value }}
{{- end -}}
{{- end -}}

{{/* The database as `user` reaches it, without a password. */}}
{{- define "concordat.database" -}}
{{- $database := .root.Values.database -}}
{{- if eq $database.type "sqlite" -}}
sqlite:/var/lib/concordat/node.db
{{- else -}}
{{- with $database.postgresql -}}
postgres://{{ $.user | urlquery }}@{{ .host }}:{{ .port }}/{{ .name | urlquery }}?sslmode={{ .sslMode }}
{{- with (.rootCertificate).key }}&sslrootcert=/etc/concordat/database-root/{{ . }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* All that is wrong with the values and that the schema cannot say, one on each line. */}}
{{- define "concordat.problems" -}}
{{- $values := .Values -}}
{{- $postgresql := eq .Values.database.type "postgresql" -}}
{{- $config := deepCopy (.Values.config | default dict) -}}
{{- range $section := list "node" "tls" "ops" }}
{{- if not (hasKey $config $section) }}
- config.{{ $section }}: `null` takes away what the chart needs of it. Leave it out, or write what differs.
{{- $_ := set $config $section dict }}
{{- end }}
{{- end }}
{{- if .Values.ingress }}
- ingress: an Ingress ends TLS, and the caller's certificate with it: the node would not know who asks. Use
  `service.type: LoadBalancer`, or `gateway.tlsRoute`, which pass TLS through.
{{- end }}
{{- if .Values.autoscaling }}
- autoscaling: more pods survive more losses and answer no more asks, since a ledger has one head. Set `replicaCount`.
{{- end }}
{{- if and (not $postgresql) (ne (int .Values.replicaCount) 1) }}
- replicaCount: an SQLite file is one pod's. Set 1, or `database.type: postgresql`.
{{- end }}
{{- with .Values.tls }}
{{- $sources := len (compact (list .existingSecret .certManager.enabled .volume)) }}
{{- if gt $sources 1 }}
- tls: more than one of `existingSecret`, `certManager.enabled` and `volume` is set. Which certificate is it?
{{- else if not $sources }}
- tls: name the Secret with the node's certificate in `tls.existingSecret`, or set `tls.certManager.enabled`, or name in
  `tls.volume` the volume that a sidecar writes it to.
{{- end }}
{{- $volumes := list }}{{ range $values.extraVolumes }}{{ $volumes = append $volumes .name }}{{ end }}
{{- if and .volume (not (has .volume $volumes)) }}
- tls.volume: `{{ .volume }}` is none of `extraVolumes`.
{{- end }}
{{- end }}
{{- if .Values.tls.certManager.enabled }}
{{- if not (and (.Values.tls.certManager.issuerRef).name .Values.tls.certManager.uri) }}
- tls.certManager: `issuerRef.name` and `uri`, the node's SPIFFE id, are needed.
{{- end }}
{{- if not (or .Values.tls.certManager.dnsNames .Values.tls.certManager.ipAddresses) }}
- tls.certManager: `dnsNames` or `ipAddresses` must have what callers dial.
{{- end }}
{{- end }}
{{- if not .Values.ledgerKey.existingSecret }}
- ledgerKey.existingSecret: name the Secret with the ledger's key: `concordat ledger keygen NAME` makes one.
{{- end }}
{{- if not .Values.nodeSecret.existingSecret }}
- nodeSecret.existingSecret: name the Secret with the node's secret: `openssl rand -hex 32` makes one.
{{- end }}
{{- range $name := list "ledgerKey" "nodeSecret" }}
{{- if hasKey (index $values $name) "value" }}
- {{ $name }}.value: nothing secret is a value, since values are kept in the release. Use `existingSecret`.
{{- end }}
{{- end }}
{{- if hasKey .Values.database.postgresql "password" }}
- database.postgresql.password: nothing secret is a value, since values are kept in the release. Use `existingSecret`.
{{- end }}
{{- /* Whatever may be one: what is not escaped as it should be, too, and names of parameters with an escape in them. */}}
{{- $password := "://[^@]*:[^@]*@|(?i)[?&]([^=&]*%[^=&]*|password)=" }}
{{- range .Values.extraEnv }}
{{- if and (eq (upper .name) "CONCORDAT__NODE__DATABASE") (regexMatch $password (.value | default "")) }}
- extraEnv: {{ .name }} has a password, and nothing secret is a value. Use `database.postgresql.existingSecret`, or take the
  variable from a Secret: `valueFrom: {secretKeyRef: {name: …, key: …}}`.
{{- end }}
{{- end }}
{{- if $postgresql }}
{{- if not .Values.database.postgresql.host }}
- database.postgresql.host: where is the primary?
{{- else if regexMatch "[^-._a-zA-Z0-9]" .Values.database.postgresql.host }}
- database.postgresql.host: write a name or an IPv4 address; the port is `database.postgresql.port`. A primary with an IPv6
  address needs a name, which its certificate has as well.
{{- end }}
{{- if not .Values.database.postgresql.existingSecret }}
- database.postgresql.existingSecret: name the Secret with the password of `{{ .Values.database.postgresql.user }}`.
{{- end }}
{{- if and (include "concordat.migrates" .) (not (and .Values.migrations.existingSecret .Values.migrations.user)) }}
- migrations: name the role that owns the tables in `user` and the Secret with its password in `existingSecret`, or set
  `mode: none` and run `concordat migrate` yourself.
{{- end }}
{{- end }}
{{- if and .Values.gateway.tlsRoute.enabled (not (and .Values.gateway.tlsRoute.parentRefs .Values.gateway.tlsRoute.hostnames)) }}
- gateway.tlsRoute: `parentRefs` and `hostnames` are needed.
{{- end }}
{{- if eq (int .Values.ops.port) 8443 }}
- ops.port: callers are served at 8443. Take another one, such as 9464.
{{- end }}
{{- $grace := add (int $config.ops.shutdown_delay_seconds) 20 }}
{{- if lt (int .Values.terminationGracePeriodSeconds) (int $grace) }}
- terminationGracePeriodSeconds: calls would be cut; set {{ $grace }} or more.
{{- end }}
{{- range $name, $source := .Values.trust }}
{{- if ne (len (compact (list $source.configMap $source.secret $source.bundle))) 1 }}
- trust.{{ $name }}: must have exactly one of `configMap`, `secret` and `bundle`, and it must name something.
{{- end }}
{{- end }}
{{- if not $config.node.audience }}
- config.node.audience: say what officers' tokens for this node carry as `aud`.
{{- end }}
{{- range $key := list "listen" "database" "database_password_file" "secret_file" "ledger_key_file" "trusted_checkpoint_files" "agreements" "migrate" }}
{{- if hasKey $config.node $key }}
- config.node.{{ $key }}: the chart sets this.
{{- end }}
{{- end }}
{{- range $key := list "certificate_file" "key_file" }}
{{- if hasKey $config.tls $key }}
- config.tls.{{ $key }}: the chart sets this.
{{- end }}
{{- end }}
{{- if hasKey $config.tls "allow_readable_keys" }}
- config.tls.allow_readable_keys: not in a cluster. The chart mounts secret files so that the pod's group alone reads them.
{{- end }}
{{- range $key := list "enabled" "listen" }}
{{- if hasKey $config.ops $key }}
- config.ops.{{ $key }}: the chart sets this.
{{- end }}
{{- end }}
{{- range $key, $other := dict "other_secret_files" "node-secret/next.secret" "other_ledger_key_files" "ledger-key/next.key" }}
{{- range $file := index $config.node $key }}
{{- if or (not (isAbs $file)) (hasPrefix "/etc/concordat/config/" (clean $file)) }}
- config.node.{{ $key }}: `{{ $file }}` would be beside node.toml, where no secret is. Put it into the same Secret as the
  first one and write its path, such as `/etc/concordat/{{ $other }}`.
{{- end }}
{{- end }}
{{- end }}
{{- $holds := false }}
{{- /* As the keys of ConfigMaps and Secrets are. */}}
{{- $named := "^[^/]+/([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$" }}
{{- range $agency := $config.agency }}
{{- if $agency.holds }}{{ $holds = true }}{{ end }}
{{- range $file := include "concordat.files" $agency | fromJsonArray }}
{{- if not (or (hasPrefix "/" $file) (and (regexMatch $named $file) (hasKey $values.trust (splitList "/" $file | first)))) }}
- config.agency `{{ $agency.id }}`: `{{ $file }}` must be NAME/KEY, with NAME one of `trust`: {{ keys $values.trust | sortAlpha | join ", " | default "there is none" }}.
{{- end }}
{{- end }}
{{- end }}
{{- if not $holds }}
- config.agency: none has `holds`. Say whose records this node holds.
{{- end }}
{{- end -}}

{{/* The files that a part of the configuration names, as a JSON list. */}}
{{- define "concordat.files" -}}
{{- $files := list -}}
{{- if kindIs "map" . -}}
{{- range $key, $value := . -}}
{{- if and (hasSuffix "_file" $key) (kindIs "string" $value) -}}
{{- $files = append $files $value -}}
{{- else -}}
{{- $files = concat $files (include "concordat.files" $value | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- else if kindIs "slice" . -}}
{{- range . -}}
{{- $files = concat $files (include "concordat.files" . | fromJsonArray) -}}
{{- end -}}
{{- end -}}
{{- $files | toJson -}}
{{- end -}}

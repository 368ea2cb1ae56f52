{{/* Environment variables: the same names everywhere, in docs/generated/config.md. */}}

{{/* A variable out of a secret. Takes {env, secret, key}. */}}
{{- define "wmoc.fromSecret" -}}
- name: {{ .env }}
  valueFrom:
    secretKeyRef: { name: {{ .secret }}, key: {{ .key }} }
{{- end -}}

{{/* A key of the platform. Takes {root, env}. */}}
{{- define "wmoc.platformKey" -}}
{{- $secrets := .root.Values.secrets -}}
{{- $secret := default (include "wmoc.ownSecret" .root) $secrets.existingSecret -}}
{{- $key := ternary (index $secrets.keys .env) .env (ne $secrets.existingSecret "") -}}
{{- include "wmoc.fromSecret" (dict "env" .env "secret" $secret "key" $key) -}}
{{- end -}}

{{/* {name, key} of the secret with the database's address, as JSON. */}}
{{- define "wmoc.databaseSecret" -}}
{{- $db := .Values.database -}}
{{- if eq $db.type "cnpg" -}}
{{- dict "name" (printf "%s-postgres-app" (include "wmoc.fullname" .)) "key" "uri" | toJson -}}
{{- else if and (eq $db.type "external") $db.external.existingSecret -}}
{{- dict "name" $db.external.existingSecret "key" $db.external.secretKey | toJson -}}
{{- else -}}
{{- dict "name" (include "wmoc.ownSecret" .) "key" "DATABASE_URL" | toJson -}}
{{- end -}}
{{- end -}}

{{/* {name, key} of the secret with the shared store's address, as JSON. */}}
{{- define "wmoc.redisSecret" -}}
{{- $redis := .Values.redis -}}
{{- if and (eq $redis.type "external") $redis.external.existingSecret -}}
{{- dict "name" $redis.external.existingSecret "key" $redis.external.secretKey | toJson -}}
{{- else -}}
{{- dict "name" (include "wmoc.ownSecret" .) "key" "REDIS_URL" | toJson -}}
{{- end -}}
{{- end -}}

{{/* What all processes but the portal share. */}}
{{- define "wmoc.commonEnv" -}}
- name: NODE_ENV
  value: production
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: PUBLIC_URL
  value: {{ .Values.publicUrl | quote }}
- name: DEVICE_DOMAIN
  value: {{ .Values.deviceDomain | quote }}
- name: TRUSTED_HOPS
  value: {{ .Values.trustedHops | quote }}
{{ include "wmoc.platformKey" (dict "root" . "env" "INTERNAL_TOKEN") }}
{{ include "wmoc.platformKey" (dict "root" . "env" "DEVICE_CREDENTIAL_KEY") }}
{{- end -}}

{{/* Traces, by the variables that OpenTelemetry has settled on. Takes {root, service}. */}}
{{- define "wmoc.tracingEnv" -}}
{{- $tracing := .root.Values.tracing -}}
{{- if $tracing.endpoint }}
- name: OTEL_EXPORTER_OTLP_ENDPOINT
  value: {{ $tracing.endpoint | quote }}
{{- with $tracing.existingSecret }}
{{ include "wmoc.fromSecret" (dict "env" "OTEL_EXPORTER_OTLP_HEADERS" "secret" . "key" $tracing.secretKey) }}
{{- end }}
- name: OTEL_SERVICE_NAME
  value: {{ .service }}
- name: OTEL_TRACES_SAMPLER
  value: {{ $tracing.sampler | quote }}
- name: OTEL_TRACES_SAMPLER_ARG
  value: {{ $tracing.samplerArg | quote }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "wmoc.resourceAttributes" .root | quote }}
{{- end }}
{{- end -}}

{{- define "wmoc.resourceAttributes" -}}
{{- $all := merge (dict) .Values.tracing.resourceAttributes (dict "service.namespace" .Release.Namespace "service.version" .Chart.AppVersion) -}}
{{- $pairs := list -}}
{{- range $name, $value := $all }}{{ $pairs = append $pairs (printf "%s=%s" $name $value) }}{{ end -}}
{{- join "," $pairs -}}
{{- end -}}

{{/* Everything that a container of the API's image reads. Takes {root, role}. */}}
{{- define "wmoc.apiEnv" -}}
{{- $values := .root.Values -}}
{{- $database := include "wmoc.databaseSecret" .root | fromJson -}}
{{- $redis := include "wmoc.redisSecret" .root | fromJson -}}
- name: ROLE
  value: {{ .role }}
{{ include "wmoc.commonEnv" .root }}
{{ include "wmoc.platformKey" (dict "root" .root "env" "PASSWORD_PEPPER") }}
{{ include "wmoc.platformKey" (dict "root" .root "env" "SECRETS_KEY") }}
- name: HOST
  value: 0.0.0.0
- name: PORT
  value: '8081'
- name: INTERNAL_HOST
  value: 0.0.0.0
- name: INTERNAL_PORT
  value: '8082'
- name: ADMIN_HOST
  value: 0.0.0.0
- name: ADMIN_PORT
  value: '9081'
{{ include "wmoc.fromSecret" (dict "env" "DATABASE_URL" "secret" $database.name "key" $database.key) }}
{{- if and (eq $values.database.type "external") $values.database.external.replicasSecretKey }}
{{ include "wmoc.fromSecret" (dict "env" "DATABASE_REPLICA_URLS" "secret" $database.name "key" $values.database.external.replicasSecretKey) }}
{{- end }}
- name: DATABASE_POOL_MAX
  value: {{ $values.database.poolMax | quote }}
{{ include "wmoc.fromSecret" (dict "env" "REDIS_URL" "secret" $redis.name "key" $redis.key) }}
- name: CORS_ORIGINS
  value: {{ join "," $values.corsOrigins | quote }}
- name: REGISTRATION_OPEN
  value: {{ $values.registrationOpen | quote }}
- name: MAIL_FROM
  value: {{ $values.mail.from | quote }}
{{- with $values.mail.existingSecret }}
{{ include "wmoc.fromSecret" (dict "env" "SMTP_URL" "secret" . "key" $values.mail.secretKey) }}
{{- end }}
{{- with $values.monitoring.alertmanager }}
{{- if .existingSecret }}
{{ include "wmoc.fromSecret" (dict "env" "ALERTMANAGER_TOKEN" "secret" .existingSecret "key" .secretKey) }}
- name: ALERTMANAGER_WORKSPACE_OWNER
  value: {{ .workspaceOwner | quote }}
{{- end }}
{{- end }}
{{- include "wmoc.tracingEnv" (dict "root" .root "service" (printf "wmoc-%s" .role)) }}
{{- with $values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Parts of pods that several objects share. */}}

{{/* An image of this project. Takes {root, image: {repository, tag, digest}}. */}}
{{- define "wmoc.image" -}}
{{- $repository := printf "%s/%s" .root.Values.image.registry .image.repository -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (coalesce .image.tag .root.Values.image.tag .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* Somebody else's image. Takes {repository, tag, digest}. */}}
{{- define "wmoc.foreignImage" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end -}}
{{- end -}}

{{/* What every pod begins with. Takes {root, securityContext?}. */}}
{{- define "wmoc.podDefaults" -}}
serviceAccountName: {{ include "wmoc.serviceAccountName" .root }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml (merge (dict) (default (dict) .securityContext) .root.Values.podSecurityContext) | nindent 2 }}
{{- end -}}

{{/* Where a component's pods may run. Takes {root, component}. */}}
{{- define "wmoc.placement" -}}
{{- $values := index .root.Values .component -}}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
  {{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "wmoc.selectorLabels" . | nindent 8 }}
{{- end }}
{{- end -}}

{{/* metadata of a component's pods; an address that was given as a value rolls them when it changes. Takes {root, component}. */}}
{{- define "wmoc.podMetadata" -}}
{{- $values := index .root.Values .component -}}
labels:
  {{- include "wmoc.podLabels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) $values.podAnnotations (include "wmoc.addressChecksum" .root | fromYaml) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An annotation that changes with the addresses of database and Redis, as far as values hold them. */}}
{{- define "wmoc.addressChecksum" -}}
{{- $addresses := list -}}
{{- range $part := list .Values.database .Values.redis -}}
{{- if eq $part.type "external" }}{{ with $part.external.url }}{{ $addresses = append $addresses . }}{{ end }}{{ end -}}
{{- end -}}
{{- with $addresses }}
checksum/addresses: {{ join " " . | sha256sum | trunc 16 }}
{{- end }}
{{- end -}}

{{/* What lets a pod go on until nobody sends to it any more. Takes the component's values. */}}
{{- define "wmoc.preStop" -}}
{{- with .preStopSeconds }}
lifecycle:
  preStop:
    sleep: { seconds: {{ . }} }
{{- end }}
{{- end -}}

{{/* securityContext of a container. Takes {root, securityContext?}. */}}
{{- define "wmoc.containerSecurity" -}}
{{- toYaml (merge (dict) (default (dict) .securityContext) .root.Values.securityContext) -}}
{{- end -}}

{{/* Probes of our processes: the admin listener answers. Startup may take as long as a database takes to come. */}}
{{- define "wmoc.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 2
  failureThreshold: 90
livenessProbe:
  httpGet: { path: /healthz, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 3
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

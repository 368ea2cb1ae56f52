{{/*
What the ingress controller is told about choosing a shard, as annotations. Any shard answers for any controller: hashing
only saves the hop. Takes {root, kind: tunnels, pages or devices}. HAProxy reads balance lines from the Service, nginx
from the Ingress; nginx knows no part of a path, so it hashes the controllers' own origins only.
*/}}
{{- define "wmoc.balanceLines" -}}
{{- if eq .kind "tunnels" -}}
balance leastconn
{{ else if eq .kind "pages" -}}
balance uri depth 2
hash-type consistent
{{ else -}}
balance hdr(host)
hash-type consistent
{{ end -}}
{{- end -}}

{{- define "wmoc.ingressPreset" -}}
{{- $preset := .root.Values.ingress.preset -}}
{{- if eq $preset "haproxy" -}}
haproxy-ingress.github.io/timeout-tunnel: 1h
{{- else if eq $preset "nginx" -}}
nginx.ingress.kubernetes.io/proxy-read-timeout: '3600'
nginx.ingress.kubernetes.io/proxy-send-timeout: '3600'
nginx.ingress.kubernetes.io/proxy-buffering: 'off'
nginx.ingress.kubernetes.io/proxy-request-buffering: 'off'
nginx.ingress.kubernetes.io/proxy-body-size: '0'
{{- if eq .kind "devices" }}
nginx.ingress.kubernetes.io/upstream-hash-by: $host
{{- else if eq .kind "tunnels" }}
nginx.ingress.kubernetes.io/load-balance: ewma
{{- end }}
{{- end -}}
{{- end -}}

{{/* The Service that an Ingress sends to: one for each way of choosing where the controller keeps that by Service. */}}
{{- define "wmoc.ingressService" -}}
{{- if eq .root.Values.ingress.preset "none" -}}
{{- include "wmoc.gateway" .root -}}
{{- else -}}
{{- include "wmoc.fullname" .root }}-{{ .kind -}}
{{- end -}}
{{- end -}}

{{- define "wmoc.ingressHead" -}}
{{- $annotations := merge (dict) .root.Values.ingress.annotations (include "wmoc.ingressPreset" . | fromYaml) -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  {{- include "wmoc.metadata" (dict "root" .root "component" "platform" "name" .name "annotations" $annotations) | nindent 2 }}
spec:
  {{- with .root.Values.ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .root.Values.ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

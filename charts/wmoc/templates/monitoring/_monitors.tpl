{{/* Labels that all scraped pods of this release share. */}}
{{- define "wmoc.scraped" -}}
app.kubernetes.io/name: {{ include "wmoc.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: wmoc
{{- end -}}

{{/* Series are told apart by component: job is api, worker or web. */}}
{{- define "wmoc.relabelings" -}}
- sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_component]
  regex: (api|worker|web)
  action: keep
- sourceLabels: [__meta_kubernetes_pod_label_app_kubernetes_io_component]
  regex: (.+)
  replacement: wmoc-$1
  targetLabel: job
{{- end -}}

{{/* metadata with the labels that a Prometheus selects. Takes {root, component, name?, more}. */}}
{{- define "wmoc.monitorMetadata" -}}
name: {{ default (include "wmoc.fullname" .root) .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "wmoc.labels" . | nindent 2 }}
  {{- with .more }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

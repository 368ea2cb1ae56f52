{{/* Names. Everything is named after the release; a release called like the chart doesn't repeat it. */}}

{{- define "wmoc.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 31 | trimSuffix "-" -}}
{{- end -}}

{{- define "wmoc.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 31 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "wmoc.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 31 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 31 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "wmoc.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "wmoc.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The TunnelGateway, and by the operator's agreement its StatefulSet and Services. */}}
{{- define "wmoc.gateway" -}}{{ include "wmoc.fullname" . }}-gateway{{- end -}}

{{/* The secret that this chart fills itself. */}}
{{- define "wmoc.ownSecret" -}}{{ include "wmoc.fullname" . }}-secrets{{- end -}}

{{/* Host of publicUrl, without port. */}}
{{- define "wmoc.publicHost" -}}
{{- regexReplaceAll ":[0-9]+$" (get (urlParse .Values.publicUrl) "host") "" -}}
{{- end -}}

{{/* deviceDomain without port. */}}
{{- define "wmoc.deviceHost" -}}
{{- regexReplaceAll ":[0-9]+$" .Values.deviceDomain "" -}}
{{- end -}}

{{/* Selector labels of a component: never change them, a Deployment's selector is immutable. Takes {root, component}. */}}
{{- define "wmoc.selectorLabels" -}}
app.kubernetes.io/name: {{ include "wmoc.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object. Takes {root, component}. */}}
{{- define "wmoc.labels" -}}
{{ include "wmoc.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: wmoc
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
Labels of a pod. Without versions, so that a new chart replaces only pods that it changes. Takes {root, component}.
*/}}
{{- define "wmoc.podLabels" -}}
{{ include "wmoc.selectorLabels" . }}
app.kubernetes.io/part-of: wmoc
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object. Takes {root, component, name?, annotations?}; the name is fullname-component unless given. */}}
{{- define "wmoc.metadata" -}}
name: {{ default (printf "%s-%s" (include "wmoc.fullname" .root) .component) .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "wmoc.labels" . | nindent 2 }}
{{- $annotations := merge (dict) (default (dict) .annotations) .root.Values.commonAnnotations }}
{{- with $annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Selector labels of the shards' pods, which the operator makes. */}}
{{- define "wmoc.shardLabels" -}}
app.kubernetes.io/name: tunnel-gateway
app.kubernetes.io/instance: {{ include "wmoc.gateway" . }}
{{- end -}}

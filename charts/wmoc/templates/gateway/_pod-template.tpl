{{/* What the operator merges into the shards' pods: the chart's defaults, and the values' podTemplate over them. */}}
{{- define "wmoc.shardTemplate" -}}
{{- $container := dict "name" "gateway" "resources" .Values.gateway.resources -}}
{{- with .Values.extraEnvFrom }}{{ $_ := set $container "envFrom" . }}{{ end -}}
{{- $spec := dict "containers" (list $container) -}}
{{- with .Values.image.pullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- $template := dict "spec" $spec -}}
{{- $metadata := dict -}}
{{- with .Values.commonLabels }}{{ $_ := set $metadata "labels" . }}{{ end -}}
{{- with include "wmoc.addressChecksum" . | fromYaml }}{{ $_ := set $metadata "annotations" . }}{{ end -}}
{{- with $metadata }}{{ $_ := set $template "metadata" . }}{{ end -}}
{{- $own := deepCopy .Values.gateway.podTemplate -}}
{{- $containers := dig "spec" "containers" (list) $own -}}
{{- if $containers -}}
{{/* Lists are replaced by a merge: the shard's own container gets the defaults, those beside it stay. */}}
{{- $all := list -}}
{{- $hasGateway := false -}}
{{- range $containers -}}
{{- if eq .name "gateway" -}}
{{- $hasGateway = true -}}
{{- $all = append $all (mergeOverwrite (deepCopy $container) .) -}}
{{- else -}}
{{- $all = append $all . -}}
{{- end -}}
{{- end -}}
{{- if not $hasGateway }}{{ $all = prepend $all $container }}{{ end -}}
{{- $_ := set $own.spec "containers" $all -}}
{{- end -}}
{{- toYaml (mergeOverwrite $template $own) -}}
{{- end -}}

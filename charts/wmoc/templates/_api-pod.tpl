{{/* A Deployment of the API's image. Takes {root, component: api or worker, ports}. */}}
{{- define "wmoc.apiDeployment" -}}
{{- $root := .root -}}
{{- $values := index .root.Values .component -}}
{{- $env := include "wmoc.apiEnv" (dict "root" .root "role" .component) -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "wmoc.metadata" . | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false $values) }}
  replicas: {{ $values.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    # One more before one less: what is under way always finds somebody.
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "wmoc.selectorLabels" . | nindent 6 }}
  template:
    metadata:
      {{- include "wmoc.podMetadata" . | nindent 6 }}
    spec:
      {{- include "wmoc.podDefaults" (dict "root" $root "securityContext" $values.podSecurityContext) | nindent 6 }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- include "wmoc.placement" . | nindent 6 }}
      initContainers:
        # Until the schema is the one that this version was written for; whoever brings it there.
        - name: schema
          image: {{ include "wmoc.image" (dict "root" $root "image" $values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [node]
          args: [api/src/migrate.ts, --wait]
          env:
            {{- $env | nindent 12 }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- include "wmoc.envFrom" (dict "root" $root "component" .component) | nindent 10 }}
          securityContext:
            {{- include "wmoc.containerSecurity" (dict "root" $root "securityContext" $values.securityContext) | nindent 12 }}
          resources:
            {{- toYaml $root.Values.migrations.resources | nindent 12 }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
      containers:
        - name: {{ .component }}
          image: {{ include "wmoc.image" (dict "root" $root "image" $values.image) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command: [node]
          args: [api/src/main.ts]
          env:
            {{- $env | nindent 12 }}
            {{- with $values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          {{- include "wmoc.envFrom" (dict "root" $root "component" .component) | nindent 10 }}
          ports:
            {{- toYaml .ports | nindent 12 }}
          {{- include "wmoc.preStop" $values | nindent 10 }}
          {{- include "wmoc.probes" $root | nindent 10 }}
          securityContext:
            {{- include "wmoc.containerSecurity" (dict "root" $root "securityContext" $values.securityContext) | nindent 12 }}
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            - { name: tmp, mountPath: /tmp }
            {{- with $values.extraVolumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- with $values.extraVolumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- end -}}

{{/* envFrom of a container, if there is any. Takes {root, component}. */}}
{{- define "wmoc.envFrom" -}}
{{- $all := concat .root.Values.extraEnvFrom (index .root.Values .component).extraEnvFrom -}}
{{- with $all }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* A PodDisruptionBudget, where more than one pod runs. Takes {root, component}. */}}
{{- define "wmoc.disruptionBudget" -}}
{{- $values := index .root.Values .component -}}
{{- $replicas := ternary (dig "autoscaling" "minReplicas" 1 $values) $values.replicas (dig "autoscaling" "enabled" false $values) -}}
{{- if and $values.podDisruptionBudget.enabled (gt (int $replicas) 1) }}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "wmoc.metadata" . | nindent 2 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  # A pod that isn't ready is of no use to anybody: it may go.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "wmoc.selectorLabels" . | nindent 6 }}
{{- end }}
{{- end -}}

{{/* A HorizontalPodAutoscaler of a Deployment. Takes {root, component}. */}}
{{- define "wmoc.autoscaler" -}}
{{- $scaling := (index .root.Values .component).autoscaling -}}
{{- if $scaling.enabled }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "wmoc.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "wmoc.fullname" .root }}-{{ .component }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: { type: Utilization, averageUtilization: {{ $scaling.targetCPUUtilizationPercentage }} }
  {{- with $scaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

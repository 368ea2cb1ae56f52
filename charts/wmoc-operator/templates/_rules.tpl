{{/*
What the operator may do in the namespaces that it looks after. charts/rbac.golden.txt holds the same list. Server-side apply
is `patch`, and `create` besides where the object isn't there yet.
*/}}
{{- define "operator.rules" -}}
# Its own kinds: read, finalizers, number of shards, status. It never makes or deletes them.
- apiGroups: [wmoc.online]
  resources: [tunnelgateways, alertpolicies, controllers]
  verbs: [get, list, watch, patch]
- apiGroups: [wmoc.online]
  resources: [tunnelgateways/status, tunnelgateways/scale, alertpolicies/status, controllers/status]
  verbs: [patch]
# Lets it own objects where the cluster asks for that right (OwnerReferencesPermissionEnforcement).
- apiGroups: [wmoc.online]
  resources: [tunnelgateways/finalizers, alertpolicies/finalizers, controllers/finalizers]
  verbs: [update]
# Shards. With their owner the cluster deletes them.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [pods]
  verbs: [get, list, watch, patch]
- apiGroups: ['']
  resources: [services, serviceaccounts]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# Monitoring, where Prometheus Operator is; else a ConfigMap of rules.
- apiGroups: [monitoring.coreos.com]
  resources: [servicemonitors, podmonitors]
  verbs: [get, create, patch, delete]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: ['']
  resources: [configmaps]
  verbs: [get, create, patch, delete]
# Activation secrets of declared controllers. It can't list: only those whose names it is told.
- apiGroups: ['']
  resources: [secrets]
  verbs: [get, create, patch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

/** The kinds of Kubernetes itself, and of others, that controllers read and write. */
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { HorizontalPodAutoscaler } from 'kubernetes-types/autoscaling/v2.d.ts'
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts'
import type { ConfigMap, Node, Pod, Secret, Service } from 'kubernetes-types/core/v1.d.ts'
import type { Event } from 'kubernetes-types/events/v1.d.ts'
import type { ControllerRevision } from 'kubernetes-types/apps/v1.d.ts'
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.d.ts'
import { resource } from './objects.ts'

export const ConfigMaps = resource<ConfigMap>('v1', 'ConfigMap', 'configmaps')
export const ControllerRevisions = resource<ControllerRevision>(
  'apps/v1',
  'ControllerRevision',
  'controllerrevisions',
)
export const Events = resource<Event>('events.k8s.io/v1', 'Event', 'events')
export const HorizontalPodAutoscalers = resource<HorizontalPodAutoscaler>(
  'autoscaling/v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
)
export const Leases = resource<Lease>('coordination.k8s.io/v1', 'Lease', 'leases')
export const NetworkPolicies = resource<NetworkPolicy>(
  'networking.k8s.io/v1',
  'NetworkPolicy',
  'networkpolicies',
)
export const Nodes = resource<Node>('v1', 'Node', 'nodes', { namespaced: false })
export const PodDisruptionBudgets = resource<PodDisruptionBudget>(
  'policy/v1',
  'PodDisruptionBudget',
  'poddisruptionbudgets',
)
export const Pods = resource<Pod>('v1', 'Pod', 'pods')
export const Secrets = resource<Secret>('v1', 'Secret', 'secrets')
export const Services = resource<Service>('v1', 'Service', 'services')
export const StatefulSets = resource<StatefulSet>('apps/v1', 'StatefulSet', 'statefulsets')

/** Of Prometheus' operator; ask `client.serves` before use. Their shapes are the writer's business. */
export const ServiceMonitors = resource<{ spec?: unknown }>(
  'monitoring.coreos.com/v1',
  'ServiceMonitor',
  'servicemonitors',
)
export const PodMonitors = resource<{ spec?: unknown }>(
  'monitoring.coreos.com/v1',
  'PodMonitor',
  'podmonitors',
)
export const PrometheusRules = resource<{ spec?: unknown }>(
  'monitoring.coreos.com/v1',
  'PrometheusRule',
  'prometheusrules',
)

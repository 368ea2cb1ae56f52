/** The objects that a TunnelGateway stands for. Pure: the same input gives the same objects. */
import type { StatefulSet } from 'kubernetes-types/apps/v1.d.ts'
import type { PodTemplateSpec, Service } from 'kubernetes-types/core/v1.d.ts'
import type { NetworkPolicy, NetworkPolicyPeer } from 'kubernetes-types/networking/v1.d.ts'
import type { PodDisruptionBudget } from 'kubernetes-types/policy/v1.d.ts'
import { ownerReference } from '#src/runtime/metadata.ts'
import type { Resource, Sent, Stored } from '#src/runtime/objects.ts'
import {
  NetworkPolicies,
  PodDisruptionBudgets,
  PodMonitors,
  ServiceMonitors,
  Services,
} from '#src/runtime/resources.ts'
import { commonLabels, peersService, PORTS, selectorLabels, ServiceAccounts } from './names.ts'
import type { TunnelGatewaySpec } from './schema.ts'

/** One object to apply, or to remove where `object` is null. */
export interface Desired {
  readonly kind: Resource
  readonly name: string
  readonly object: Sent | null
}

interface Parts {
  readonly owner: Stored
  readonly spec: TunnelGatewaySpec
  readonly name: string
}

const tcp = (name: keyof typeof PORTS) => ({ name, port: PORTS[name], targetPort: name, protocol: 'TCP' })

function meta({ owner, name }: Parts, own = name, annotations?: Record<string, string>) {
  return {
    name: own,
    namespace: owner.metadata.namespace!,
    labels: commonLabels(name),
    ownerReferences: [ownerReference(owner)],
    ...(annotations === undefined ? {} : { annotations }),
  }
}

/**
 * The shards. Its controller replaces only shards from `partition` on, one after the other from the highest, and only
 * when those above are ready; a shard below that gets lost comes back as it was.
 */
export function statefulSet(
  owner: Stored,
  given: {
    readonly spec: TunnelGatewaySpec
    readonly template: PodTemplateSpec
    readonly replicas: number
    readonly partition: number
    readonly annotations: Record<string, string>
  },
): Sent<StatefulSet> {
  const parts = { owner, spec: given.spec, name: owner.metadata.name }
  const { replicas, partition } = given
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: meta(parts, parts.name, given.annotations),
    spec: {
      replicas,
      serviceName: peersService(parts.name),
      // Shards know each other by the store: none waits for another to start, and a broken one does not block its repair.
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: selectorLabels(parts.name) },
      template: given.template,
      updateStrategy:
        given.spec.rollout.strategy === 'OnDelete'
          ? { type: 'OnDelete' }
          : { type: 'RollingUpdate', rollingUpdate: rollingUpdate(replicas, partition) },
      revisionHistoryLimit: 10,
    },
  }
}

/**
 * How many may be away is decided here, by the partition. A set's controller that knows `maxUnavailable` would else take
 * a drained shard, which is not ready, for the one that is away already, and never replace it.
 */
function rollingUpdate(replicas: number, partition: number) {
  return { partition, maxUnavailable: Math.max(1, replicas) }
}

function peers(parts: Parts): Sent<Service> {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(parts, peersService(parts.name)),
    spec: {
      clusterIP: 'None',
      // A shard that drains is not ready and still talks to the others.
      publishNotReadyAddresses: true,
      selector: selectorLabels(parts.name),
      ports: [tcp('peer'), tcp('admin')],
    },
  }
}

function clients(parts: Parts): Sent<Service> {
  const { type, annotations } = parts.spec.service
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: meta(parts, parts.name, annotations),
    spec: { type, selector: selectorLabels(parts.name), ports: [tcp('http')] },
  }
}

function budget(parts: Parts): Sent<PodDisruptionBudget> {
  return {
    apiVersion: 'policy/v1',
    kind: 'PodDisruptionBudget',
    metadata: meta(parts),
    spec: {
      maxUnavailable: 1,
      selector: { matchLabels: selectorLabels(parts.name) },
      // One that never got ready holds no tunnels and need not be protected from a node's drain.
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    },
  }
}

/** Clients from anywhere, shards among each other; the admin port, which can drain, for the operator and who is named. */
function policy(parts: Parts): Sent<NetworkPolicy> {
  const operator: NetworkPolicyPeer = {
    namespaceSelector: {},
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'wmoc-operator' } },
  }
  const port = (name: keyof typeof PORTS) => [{ port: PORTS[name], protocol: 'TCP' }]
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: meta(parts),
    spec: {
      podSelector: { matchLabels: selectorLabels(parts.name) },
      policyTypes: ['Ingress'],
      ingress: [
        { ports: port('http') },
        { ports: port('peer'), from: [{ podSelector: { matchLabels: selectorLabels(parts.name) } }] },
        { ports: port('admin'), from: [operator, ...(parts.spec.networkPolicy.adminFrom ?? [])] },
      ],
    },
  }
}

function monitor(parts: Parts, kind: 'ServiceMonitor' | 'PodMonitor'): Sent<{ spec?: unknown }> {
  const { interval, labels } = parts.spec.monitoring
  const made = meta(parts)
  const endpoint = [{ port: 'admin', path: '/metrics', interval }]
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind,
    metadata: { ...made, labels: { ...labels, ...made.labels } },
    spec: {
      selector: { matchLabels: selectorLabels(parts.name) },
      ...(kind === 'ServiceMonitor' ? { endpoints: endpoint } : { podMetricsEndpoints: endpoint }),
    },
  }
}

/** Everything but the shards themselves. What is switched off is removed. */
export function surroundings(owner: Stored, spec: TunnelGatewaySpec): Desired[] {
  const name = owner.metadata.name
  const parts = { owner, spec, name }
  const one = (kind: Resource, own: string, object: Sent | null): Desired => ({ kind, name: own, object })
  return [
    one(ServiceAccounts, name, {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: meta(parts),
      automountServiceAccountToken: false,
    } as Sent),
    one(Services, peersService(name), peers(parts)),
    one(Services, name, clients(parts)),
    one(PodDisruptionBudgets, name, spec.replicas > 1 ? budget(parts) : null),
    one(NetworkPolicies, name, spec.networkPolicy.enabled ? policy(parts) : null),
    one(ServiceMonitors, name, spec.monitoring.serviceMonitor ? monitor(parts, 'ServiceMonitor') : null),
    one(PodMonitors, name, spec.monitoring.podMonitor ? monitor(parts, 'PodMonitor') : null),
  ]
}

/** Names, labels, annotations and ports of what belongs to a TunnelGateway. Stable: people and programs use them. */
import { resource } from '#src/runtime/objects.ts'
import type { TunnelGatewaySpec, TunnelGatewayStatus } from './schema.ts'

export const TunnelGateways = resource<{ spec: TunnelGatewaySpec; status?: TunnelGatewayStatus }>(
  'wmoc.online/v1alpha1',
  'TunnelGateway',
  'tunnelgateways',
)
export const ServiceAccounts = resource<{ automountServiceAccountToken?: boolean }>(
  'v1',
  'ServiceAccount',
  'serviceaccounts',
)

export const PORTS = { http: 8080, admin: 9082, peer: 7443 } as const
export const CONTAINER = 'gateway'
export const FINALIZER = 'wmoc.online/drain'

/** On a TunnelGateway, by people. */
export const ASKED = {
  /** "true": the operator looks and does nothing. */
  paused: 'wmoc.online/paused',
  /** A new value replaces every shard. */
  restartedAt: 'wmoc.online/restartedAt',
  /** Hash of a pod template (`status.rollout.target`) that is not wanted: the last good one is rolled out instead. */
  rejected: 'wmoc.online/rejected',
} as const

/** On a pod. */
export const POD = {
  /** "true", by people: this shard is drained, and taken back when the annotation goes. */
  drain: 'wmoc.online/drain',
  /** By the operator: since when it drains this shard, why, and how many tunnels there were on it and on all. */
  draining: 'wmoc.online/draining',
  /** By the operator: when it took a drain back. Until the kubelet has asked again the pod counts as not ready since long. */
  undrained: 'wmoc.online/undrained-at',
  /** Hash of the template that the pod was made from. */
  template: 'wmoc.online/template',
} as const

/** On the StatefulSet, by the operator: the whole memory of rollouts, written together with the step it belongs to. */
export const SET = {
  /** Templates that were rolled out to the end, newest first. */
  completed: 'wmoc.online/completed-templates',
  /** Templates that failed their gate. */
  rejected: 'wmoc.online/rejected-templates',
  /** The last replacement: when, and how many tunnels there were before. */
  step: 'wmoc.online/rollout-step',
  /** Hash of what was applied. */
  applied: 'wmoc.online/applied',
} as const

export const APP = 'tunnel-gateway'

/** What shards are selected by; never changes. @param name of the TunnelGateway */
export function selectorLabels(name: string): Record<string, string> {
  return { 'app.kubernetes.io/name': APP, 'app.kubernetes.io/instance': name }
}

/** Of everything that is made for it. */
export function commonLabels(name: string): Record<string, string> {
  return {
    ...selectorLabels(name),
    'app.kubernetes.io/component': 'gateway',
    'app.kubernetes.io/part-of': 'wmoc',
    'app.kubernetes.io/managed-by': 'wmoc-operator',
  }
}

/** The same as one text, as the scale subresource tells it. */
export function selectorText(name: string): string {
  return Object.entries(selectorLabels(name))
    .map(([key, value]) => `${key}=${value}`)
    .join(',')
}

/** `{name}-peers`: shards by name, ready or not. */
export function peersService(name: string): string {
  return `${name}-peers`
}

/** The number in a pod's name; null: it is not a shard's. */
export function ordinalOf(name: string, pod: string): number | null {
  if (!pod.startsWith(`${name}-`)) return null
  const rest = pod.slice(name.length + 1)
  return /^(0|[1-9][0-9]{0,5})$/.test(rest) ? Number(rest) : null
}

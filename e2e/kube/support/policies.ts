/**
 * What network policies say of a connection, by the rules of `networking.k8s.io/v1`: the test's network does not enforce
 * them, so what really connects is held against them. Pure.
 */
import type { LabelSelector } from 'kubernetes-types/meta/v1.d.ts'
import type { NetworkPolicyPeer, NetworkPolicyPort } from 'kubernetes-types/networking/v1.d.ts'

type Labels = Readonly<Record<string, string>>

export interface Peer {
  readonly name: string
  readonly namespace: string
  readonly labels: Labels
  /** Of its containers, by name. */
  readonly ports: Readonly<Record<string, number>>
}

interface Rule {
  readonly ports?: readonly NetworkPolicyPort[]
  readonly from?: readonly NetworkPolicyPeer[]
  readonly to?: readonly NetworkPolicyPeer[]
}

export interface Policy {
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly podSelector: LabelSelector
    readonly policyTypes?: readonly string[]
    readonly ingress?: readonly Rule[]
    readonly egress?: readonly Rule[]
  }
}

export interface Cluster {
  readonly policies: readonly Policy[]
  /** Labels of namespaces. */
  readonly namespaces: Readonly<Record<string, Labels>>
}

/** Whether both sides may: the one to call, the other to be called. @param port Of `to`, TCP. */
export function isAllowed(cluster: Cluster, from: Peer, to: Peer, port: number): boolean {
  return mayPass(cluster, 'Egress', from, to, to, port) && mayPass(cluster, 'Ingress', to, from, to, port)
}

/** Whether policies leave this pod anybody to call. */
export function mayCall({ policies }: Cluster, pod: Peer): boolean {
  const own = policiesOf(policies, 'Egress', pod)
  return own.length === 0 || own.some(({ spec }) => (spec.egress ?? []).length > 0)
}

function mayPass(
  { policies, namespaces }: Cluster,
  direction: 'Ingress' | 'Egress',
  owner: Peer,
  other: Peer,
  server: Peer,
  port: number,
): boolean {
  const own = policiesOf(policies, direction, owner)
  if (own.length === 0) return true
  return own.some(({ metadata, spec }) =>
    ((direction === 'Ingress' ? spec.ingress : spec.egress) ?? []).some((rule) => {
      const peers = direction === 'Ingress' ? rule.from : rule.to
      const isMeant =
        peers === undefined || peers.some((peer) => selects(peer, other, metadata.namespace, namespaces))
      return isMeant && (rule.ports === undefined || rule.ports.some((one) => isPort(one, server, port)))
    }),
  )
}

function policiesOf(policies: readonly Policy[], direction: 'Ingress' | 'Egress', pod: Peer): Policy[] {
  return policies.filter(
    ({ metadata, spec }) =>
      metadata.namespace === pod.namespace &&
      (spec.policyTypes ?? ['Ingress']).includes(direction) &&
      matches(spec.podSelector, pod.labels),
  )
}

function selects(
  { ipBlock, namespaceSelector, podSelector }: NetworkPolicyPeer,
  pod: Peer,
  ownNamespace: string,
  namespaces: Cluster['namespaces'],
): boolean {
  if (ipBlock !== undefined) throw new Error('addresses in policies are not understood here')
  const isNamespace =
    namespaceSelector === undefined
      ? pod.namespace === ownNamespace
      : matches(namespaceSelector, namespaces[pod.namespace] ?? {})
  return isNamespace && (podSelector === undefined || matches(podSelector, pod.labels))
}

function isPort({ port, endPort, protocol }: NetworkPolicyPort, server: Peer, wanted: number): boolean {
  if ((protocol ?? 'TCP') !== 'TCP') return false
  if (port === undefined) return true
  if (typeof port === 'string') return server.ports[port] === wanted
  return wanted >= port && wanted <= (endPort ?? port)
}

function matches({ matchLabels = {}, matchExpressions = [] }: LabelSelector, labels: Labels): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = labels[key]
      switch (operator) {
        case 'In':
          return value !== undefined && values.includes(value)
        case 'NotIn':
          return value === undefined || !values.includes(value)
        case 'Exists':
          return value !== undefined
        case 'DoesNotExist':
          return value === undefined
        default:
          throw new Error(`no operator of label selectors: ${operator}`)
      }
    })
  )
}

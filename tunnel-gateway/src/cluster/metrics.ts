/** What operators see of the ring. */
import { createHash } from 'node:crypto'
import type { Metrics } from '@wmoc/platform/metrics'
import type { Membership } from './members.ts'

export type ClusterMetrics = ReturnType<typeof createClusterMetrics>

export function createClusterMetrics(metrics: Metrics, membership: Membership) {
  const gauge = (name: string, help: string, read: () => number) => {
    const made = metrics.gauge(name, help)
    Object.assign(made, { collect: () => made.set(read()) })
  }
  gauge('wmoc_gateway_ring_epoch', 'Ring epoch this shard has applied.', () => membership.ring().epoch)
  gauge(
    'wmoc_gateway_ring_members',
    'Shards in the ring as seen by this shard.',
    () => membership.ring().shards.length,
  )
  gauge('wmoc_gateway_ring_ownership_ratio', 'Share of the hash space this shard owns.', () =>
    membership.ring().ownershipOf(membership.self.shard),
  )
  gauge(
    'wmoc_gateway_ring_fingerprint',
    'A number that is the same on all shards that have applied the same ring.',
    () => ringFingerprint(membership.ring()),
  )
  return {
    misrouted: metrics.counter(
      'wmoc_gateway_misrouted_total',
      'Requests or tunnels that arrived at a shard that does not own the controller.',
      ['kind', 'action'],
    ),
    evictions: metrics.counter(
      'wmoc_gateway_drain_evictions_total',
      'Tunnels asked to reconnect while draining.',
    ),
    shed: metrics.counter(
      'wmoc_gateway_shed_tunnels_total',
      'Idle tunnels sent to another shard because memory is short here.',
    ),
    pauses: metrics.counter(
      'wmoc_gateway_pauses_total',
      'Times that this process stood still long enough to ask the store what it still holds.',
    ),
  }
}

/** Of the shards and their shares. Epochs don't tell: each shard counts the changes that it has seen itself. */
export function ringFingerprint(ring: ReturnType<Membership['ring']>): number {
  const shares = ring.shards.map((shard) => `${shard} ${ring.ownershipOf(shard).toFixed(6)}`)
  return createHash('sha256').update(shares.join('\n')).digest().readUInt32BE()
}

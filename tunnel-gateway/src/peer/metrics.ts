/** What the links between shards show of themselves. */
import type { Metrics } from '@wmoc/platform/metrics'
import type { Counter } from 'prom-client'
import type { RouterCounts } from './router.ts'

export interface PeerReadings {
  readonly dialled: () => number
  readonly accepted: () => number
  readonly streams: () => number
  readonly parked: () => number
  readonly waiting: () => number
}

export interface PeerMetrics extends RouterCounts {
  linkFailed(reason: string): void
  watch(readings: PeerReadings): void
}

/** @param misrouted Counts what arrives at a shard that does not own the controller. */
export function createPeerMetrics(metrics: Metrics, misrouted: Counter<'kind' | 'action'>): PeerMetrics {
  const failures = metrics.counter(
    'wmoc_gateway_peer_failures_total',
    'Links between shards that did not come up.',
    ['reason'],
  )
  // Of every request that hops: the child is found once.
  const forwarded = misrouted.labels('request', 'forwarded')
  const repeated = misrouted.labels('request', 'repeated')
  const parked = metrics.counter(
    'wmoc_gateway_parked_total',
    'Controllers whose requests waited for it to come back, by how that ended.',
    ['outcome'],
  )
  return {
    forwarded: (isRepeated) => (isRepeated ? repeated : forwarded).inc(),
    parked: (isInVain) => parked.inc({ outcome: isInVain ? 'gave_up' : 'found' }),
    linkFailed: (reason) => failures.inc({ reason }),
    watch(readings) {
      const links = metrics.gauge('wmoc_gateway_peer_links', 'Links to other shards that are up.', [
        'direction',
      ])
      Object.assign(links, {
        collect() {
          links.set({ direction: 'dialled' }, readings.dialled())
          links.set({ direction: 'accepted' }, readings.accepted())
        },
      })
      const gauge = (name: string, help: string, read: () => number) => {
        const made = metrics.gauge(name, help)
        Object.assign(made, { collect: () => made.set(read()) })
      }
      gauge('wmoc_gateway_peer_streams', 'Requests that are served by another shard.', readings.streams)
      gauge(
        'wmoc_gateway_parked_requests',
        'Requests that wait for a controller that moves.',
        readings.parked,
      )
      gauge('wmoc_gateway_locating_requests', 'Requests that wait to be told where to go.', readings.waiting)
    },
  }
}

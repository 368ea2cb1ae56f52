/**
 * What this process has done since its start, from its own counters: two looks, or one look at a young shard, tell
 * whether it does its work. Who judges compares shards with each other, because some devices are always offline.
 */
import type { Outcome } from '#src/user/traffic.ts'
import { UNDECIDED } from '#src/device/registrar.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'

export interface Totals {
  /** Requests of people that were answered, whatever the outcome. */
  readonly requests: number
  /** Of these, those that failed on the way to the device or on the way back. */
  readonly failed: number
  /** Of these, those whose device was nowhere. Not among `failed`. */
  readonly offline: number
  /** Tunnels that were registered, and registrations that were refused; not those that only the API could decide on. */
  readonly registrations: number
  readonly refused: number
}

export type ReadTotals = () => Promise<Totals>

const FAILURES: ReadonlySet<string | number | undefined> = new Set<Outcome>([
  'device_disconnected',
  'device_timeout',
  'bad_device_response',
  'overloaded',
  'shed',
])

/** Reads the totals from the metrics of this process. */
export function createTotals(metrics: GatewayMetrics): ReadTotals {
  const sum = (counts: readonly { readonly value: number }[]) =>
    counts.reduce((total, { value }) => total + value, 0)
  return async () => {
    const [requests, opens, refused] = await Promise.all([
      metrics.requests.get(),
      metrics.opens.get(),
      metrics.registerFailures.get(),
    ])
    const ended = (isMeant: (outcome: string | number | undefined) => boolean) =>
      sum(requests.values.filter(({ labels }) => isMeant(labels.outcome)))
    return {
      requests: sum(requests.values),
      failed: ended((outcome) => FAILURES.has(outcome)),
      offline: ended((outcome) => outcome === 'device_offline'),
      registrations: sum(opens.values),
      refused: sum(refused.values.filter(({ labels }) => labels.reason !== UNDECIDED)),
    }
  }
}

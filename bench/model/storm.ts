/**
 * A crowd of devices that lost its shard comes back: the real admission of every shard, the delays that it tells, and the
 * full jitter of devices, in steps of a millisecond. A load balancer picks a shard at random for every try.
 */
import { fullJitterMs } from '@wmoc/protocol/backoff'
import { createAdmission, toldDelayMs } from '../../tunnel-gateway/src/core/admission.ts'
import type { AdmissionRules } from '../../tunnel-gateway/src/core/admission.ts'
import { seeded } from './random.ts'

export interface StormPlan {
  readonly name: string
  readonly devices: number
  /** Shards that are left, and the tunnels that each of them holds already. */
  readonly shards: number
  readonly tunnelsBefore: number
  readonly rules: AdmissionRules
  /** From the socket to the registration: TLS, a round trip, the store. */
  readonly registerMs: number
}

export interface Storm {
  readonly name: string
  readonly devices: number
  readonly shards: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly lastMs: number
  /** Connections for each device until it was in. */
  readonly triesMean: number
  readonly triesMax: number
  /** Most tries and registrations in any second, of all shards together. */
  readonly peakTriesPerSecond: number
  readonly peakRegistrationsPerSecond: number
}

const HORIZON_MS = 900_000
const BACKOFF = { baseMs: 1_000, capMs: 60_000 }

export function simulateStorm(plan: StormPlan): Storm {
  const random = seeded(plan.devices + plan.shards)
  const admissions = Array.from({ length: plan.shards }, () => createAdmission(plan.rules))
  const tunnels = new Int32Array(plan.shards).fill(plan.tunnelsBefore)
  const queue = createQueue(HORIZON_MS, plan.devices)
  const tries = new Uint16Array(plan.devices)
  const shardOf = new Int16Array(plan.devices).fill(-1)
  const inAt: number[] = []
  const triesBySecond = new Float64Array(HORIZON_MS / 1_000)
  const inBySecond = new Float64Array(HORIZON_MS / 1_000)
  const again = (device: number, now: number, toldMs: number) =>
    queue.add(
      now + toldMs + fullJitterMs({ ...BACKOFF, attempt: tries[device]! - 1, random: random() }),
      device,
    )

  // The loss is seen at once by all; each waits by its own jitter first.
  for (let device = 0; device < plan.devices; device++) {
    queue.add(fullJitterMs({ ...BACKOFF, attempt: 0, random: random() }), device)
  }
  queue.run((device, now) => {
    const address = `a${device % 50_000}`
    const registering = shardOf[device]!
    if (registering < 0) {
      tries[device]! += 1
      triesBySecond[Math.floor(now / 1_000)]! += 1
      const shard = Math.floor(random() * plan.shards)
      if (admissions[shard]!.enter(address, tunnels[shard]!, now) !== 'yes') return again(device, now, 10_000)
      shardOf[device] = shard
      return queue.add(now + plan.registerMs, device)
    }
    shardOf[device] = -1
    const admission = admissions[registering]!
    admission.left(address)
    const waitMs = admission.register(now)
    if (waitMs > 0) return again(device, now, toldDelayMs(waitMs, random()))
    tunnels[registering]! += 1
    inBySecond[Math.floor(now / 1_000)]! += 1
    inAt.push(now)
  })
  if (inAt.length < plan.devices) throw new Error(`${plan.devices - inAt.length} did not come back`)
  return {
    name: plan.name,
    devices: plan.devices,
    shards: plan.shards,
    p50Ms: inAt[Math.floor(inAt.length * 0.5)]!,
    p99Ms: inAt[Math.floor(inAt.length * 0.99)]!,
    lastMs: inAt.at(-1)!,
    triesMean: tries.reduce((sum, count) => sum + count, 0) / plan.devices,
    triesMax: tries.reduce((most, count) => Math.max(most, count), 0),
    peakTriesPerSecond: Math.max(...triesBySecond),
    peakRegistrationsPerSecond: Math.max(...inBySecond),
  }
}

/** Events by millisecond; an item is in the queue once at most. */
function createQueue(horizonMs: number, items: number) {
  const first = new Int32Array(horizonMs).fill(-1)
  const next = new Int32Array(items).fill(-1)
  return {
    add(at: number, item: number): void {
      const slot = Math.floor(at)
      if (slot >= horizonMs) return
      next[item] = first[slot]!
      first[slot] = item
    },
    run(event: (item: number, now: number) => void): void {
      for (let now = 0; now < horizonMs; now++) {
        // What is added for this very millisecond is dealt with in it.
        while (first[now]! >= 0) {
          const item = first[now]!
          first[now] = next[item]!
          event(item, now)
        }
      }
    },
  }
}

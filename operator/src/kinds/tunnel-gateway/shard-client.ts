/** Speaks to the admin port of a shard. */
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { request } from 'undici'
import { z } from 'zod'
import type { Stored } from '#src/runtime/objects.ts'
import { PORTS } from './names.ts'
import type { ShardReport } from './world.ts'

export interface ShardClient {
  /** Null: no answer in time, or none that can be read. */
  report(pod: Stored<Pod>, signal: AbortSignal): Promise<ShardReport | null>
  /** Throws where the shard does not take it. Draining already is no error. */
  drain(
    pod: Stored<Pod>,
    how: { evictPerSecond: number; deadlineMs: number },
    signal: AbortSignal,
  ): Promise<void>
  /** False: its process is ending. */
  undrain(pod: Stored<Pod>, signal: AbortSignal): Promise<boolean>
}

const TIMEOUT_MS = 2_000
const MAX_BYTES = 1_048_576

const count = z.number().min(0)
const Status = z.object({
  version: z.string(),
  tunnels: count,
  inFlight: count,
  serving: count,
  isDraining: z.boolean(),
  isEnding: z.boolean(),
  drainedAt: z.iso.datetime().nullable(),
  totals: z.object({
    requests: count,
    failed: count,
    offline: count,
    registrations: count,
    refused: count,
  }),
  apiCalls: z
    .object({ calls: z.array(count).max(120), failed: z.array(count).max(120) })
    .nullable()
    .default(null),
  ring: z.object({
    epoch: count,
    members: z.array(z.object({ shard: z.string(), state: z.enum(['serving', 'draining']) })),
  }),
})

/** `http://` and the pod's address; null: it has none yet. */
export function adminAddress(pod: Stored<Pod>): string | null {
  const address = pod.status?.podIP
  if (address === undefined || address === '') return null
  return `http://${address.includes(':') ? `[${address}]` : address}:${PORTS.admin}`
}

/** @param addressOf Where the admin port of a pod is. */
export function createShardClient(
  addressOf: (pod: Stored<Pod>) => string | null = adminAddress,
): ShardClient {
  async function call(
    pod: Stored<Pod>,
    method: 'GET' | 'POST',
    path: string,
    signal: AbortSignal,
    body?: object,
  ) {
    const address = addressOf(pod)
    if (address === null) throw new Error(`${pod.metadata.name} has no address yet`)
    const answer = await request(`${address}${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    })
    const pieces: Buffer[] = []
    let size = 0
    for await (const piece of answer.body as AsyncIterable<Buffer>) {
      size += piece.length
      if (size > MAX_BYTES) throw new Error(`${pod.metadata.name} answers more than ${MAX_BYTES} bytes`)
      pieces.push(piece)
    }
    return { status: answer.statusCode, text: Buffer.concat(pieces).toString() }
  }

  return {
    async report(pod, signal) {
      try {
        const { status, text } = await call(pod, 'GET', '/status', signal)
        return status === 200 ? reportOf(Status.parse(JSON.parse(text))) : null
      } catch {
        signal.throwIfAborted()
        return null
      }
    },
    async drain(pod, { evictPerSecond, deadlineMs }, signal) {
      const { status, text } = await call(pod, 'POST', '/drain', signal, {
        evict_per_second: evictPerSecond,
        deadline_ms: deadlineMs,
      })
      if (status !== 202)
        throw new Error(`${pod.metadata.name} refuses to drain: ${status} ${text.slice(0, 200)}`)
    },
    async undrain(pod, signal) {
      const { status, text } = await call(pod, 'POST', '/undrain', signal)
      if (status === 200) return true
      if (status === 409) return false
      throw new Error(`${pod.metadata.name} refuses to serve again: ${status} ${text.slice(0, 200)}`)
    },
  }
}

function reportOf(status: z.infer<typeof Status>): ShardReport {
  const { version, tunnels, isDraining, isEnding, drainedAt, totals, apiCalls, ring } = status
  const serving = ring.members.filter(({ state }) => state === 'serving').map(({ shard }) => shard)
  return {
    version,
    tunnels,
    inFlight: status.inFlight + status.serving,
    isDraining,
    isEnding,
    drainedAtMs: drainedAt === null ? null : Date.parse(drainedAt),
    totals,
    apiCalls,
    epoch: ring.epoch,
    serving: [...new Set(serving)].toSorted(),
  }
}

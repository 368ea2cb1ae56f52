/** Metrics and logs on their way to the API. A message is acknowledged to the device only once the API has stored it. */
import type { Logger } from '@wmoc/platform/log'
import type { IngestBatch } from '@wmoc/protocol/control-plane'
import type { Log, Metrics } from '@wmoc/protocol/messages'
import type { ControlPlane } from '#src/control-plane/client.ts'
import { createOutbox } from '#src/control-plane/outbox.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'
import type { Tunnel } from './tunnel.ts'

interface Pending {
  readonly tunnel: Tunnel
  readonly batch: IngestBatch
  readonly bytes: number
}

export interface Ingest {
  /** @param receivedAt Milliseconds since 1970. */
  add(tunnel: Tunnel, message: Metrics | Log, bytes: number, receivedAt: number): void
  readonly size: number
  stop(deadlineMs: number): Promise<void>
}

const MAX_BYTES_PER_DEVICE = 2 * 1_048_576
const MAX_MESSAGES_PER_DEVICE = 2_000

export function createIngest(options: {
  controlPlane: ControlPlane
  metrics: GatewayMetrics
  log: Logger
}): Ingest {
  const { controlPlane, metrics } = options
  const perDevice = new Map<string, { bytes: number; messages: number }>()

  function settle({ tunnel, bytes }: Pending): void {
    const held = perDevice.get(tunnel.controllerId)
    if (held === undefined) return
    held.bytes -= bytes
    held.messages -= 1
    if (held.messages <= 0) perDevice.delete(tunnel.controllerId)
  }

  async function send(items: Pending[]): Promise<void> {
    const { results } = await controlPlane.call('ingest', { batches: items.map((item) => item.batch) })
    items.forEach((item, index) => {
      settle(item)
      // Refused is final as well, but it is not stored, so it is not acknowledged.
      if (results[index] !== 'stored') metrics.ingestDropped.inc({ reason: 'refused' })
      else if (item.batch.seq !== null) item.tunnel.acknowledge(item.batch.seq)
    })
  }

  const outbox = createOutbox<Pending>({
    category: 'ingest',
    maxItems: 50_000,
    maxBytes: 64 * 1_048_576,
    maxBatch: 500,
    maxBatchBytes: 2 * 1_048_576,
    lingerMs: 20,
    log: options.log,
    send,
    dropped(item) {
      settle(item)
      metrics.ingestDropped.inc({ reason: 'refused' })
    },
  })

  return {
    add(tunnel, message, bytes, receivedAt) {
      const { controllerId } = tunnel
      const held = perDevice.get(controllerId) ?? { bytes: 0, messages: 0 }
      if (held.bytes + bytes > MAX_BYTES_PER_DEVICE || held.messages >= MAX_MESSAGES_PER_DEVICE) {
        metrics.ingestDropped.inc({ reason: 'device_full' })
        return
      }
      const common = { controllerId, stream: tunnel.ingestStream, seq: message.seq ?? null, receivedAt }
      const batch: IngestBatch =
        message.type === 'metrics'
          ? { kind: 'metrics', ...common, items: message.items }
          : { kind: 'log', ...common, items: message.items }
      if (!outbox.add({ tunnel, batch, bytes }, bytes)) {
        metrics.ingestDropped.inc({ reason: 'full' })
        return
      }
      held.bytes += bytes
      held.messages += 1
      perDevice.set(controllerId, held)
    },
    get size() {
      return outbox.size
    },
    stop: (deadlineMs) => outbox.stop(deadlineMs),
  }
}

/** Tells the shared store, in batches, which tunnels live here, and learns which were taken over elsewhere. */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { CLOSE } from '@wmoc/protocol/close-codes'
import type { Hub } from '#src/core/hub.ts'
import type { Tunnel } from './tunnel.ts'

export const PRESENCE_TTL_MS = 45_000
const RENEW_MS = 10_000
const BATCH = 500

export interface PresenceKeeper {
  start(): void
  stop(): Promise<void>
  /** Renews everything now. */
  renew(): Promise<void>
  release(tunnel: Tunnel): void
}

export function createPresenceKeeper(options: {
  store: Store
  shard: string
  hub: Hub<Tunnel>
  log: Logger
}): PresenceKeeper {
  const { store, shard, hub, log } = options
  let timer: NodeJS.Timeout | null = null
  let isAway = false
  const releasing = new Set<Promise<unknown>>()

  async function renewBatch(tunnels: readonly Tunnel[]): Promise<void> {
    const entries = tunnels.map(({ controllerId, epoch }) => ({ controllerId, epoch }))
    const kept = await store.renewPresence(shard, entries, PRESENCE_TTL_MS)
    tunnels.forEach((tunnel, index) => {
      if (kept[index] === false) tunnel.close(CLOSE.superseded)
    })
  }

  async function renew(): Promise<void> {
    const tunnels = [...hub.all()]
    try {
      for (let start = 0; start < tunnels.length; start += BATCH) {
        await renewBatch(tunnels.slice(start, start + BATCH))
      }
      if (isAway) log.info('store', 'the shared store is back; presence is told again')
      isAway = false
    } catch (error) {
      // What is known goes on; nothing is closed because the store is away.
      if (!isAway)
        log.warn('store', 'the shared store is away; tunnels go on with the last known state', { error })
      isAway = true
    }
  }

  function schedule(): void {
    // After an outage sooner, so that everybody is known again quickly.
    timer = setTimeout(
      () => void renew().finally(() => timer !== null && schedule()),
      isAway ? 2_000 : RENEW_MS,
    )
    timer.unref()
  }

  return {
    start: schedule,
    async stop() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      await Promise.allSettled(releasing)
    },
    renew,
    release(tunnel) {
      const work: Promise<unknown> = store
        .releasePresence(tunnel.controllerId, tunnel.epoch)
        // The entry runs out by itself.
        .catch(() => undefined)
        .finally(() => releasing.delete(work))
      releasing.add(work)
    },
  }
}

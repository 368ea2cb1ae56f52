/**
 * Tells the shared store which tunnels live here, and ends those that were taken over elsewhere. An entry counts only
 * as long as the lease of its instance lives, so that a tunnel is renewed seldom: to keep its entry, and to learn what no
 * message told. The shard that takes a controller over tells the one that held it, and waits for its answer.
 */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { z } from 'zod'
import type { Hub, HubEntry } from '#src/core/hub.ts'

export const PRESENCE = {
  /** Longer than two rounds of renewals; a shard that died is known sooner by its lease. */
  ttlMs: 120_000,
  roundMs: 45_000,
  tickMs: 1_000,
  batch: 500,
  /** A claim is told again after this time: a failover may have lost it with nobody noticing. */
  repeatClaimMs: 5_000,
} as const
/** How long a controller that was sent away counts as on its way. */
const MOVING_MS = 15_000
/** A shard that does not answer in this time stands still, and asks the store before it serves again. */
export const LET_GO_MS = 1_000
/** At growing intervals, half a minute in all. */
const TELL_TIMES = 6

const Notice = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('superseded'), controllerId: z.string(), epoch: z.int(), from: z.string() }),
  z.object({ kind: z.literal('let_go'), controllerId: z.string(), epoch: z.int() }),
])
type Notice = z.infer<typeof Notice>
const channelOf = (instance: string) => `wmoc:gateway:${instance}`

export interface HeldTunnel extends HubEntry {
  readonly isLeaving: boolean
  /** A newer tunnel of its controller is elsewhere. */
  supersede(): void
}

export interface PresenceKeeper {
  start(): void
  stop(): Promise<void>
  /**
   * Takes the controller over: the new epoch, once the shard that held it has let go of it or had time to, and whether
   * a living shard held it. Null: the store is away.
   */
  claim(controllerId: string, atLeast: number): Promise<{ epoch: number; isTakeover: boolean } | null>
  /** Tells everything now, and ends what was taken over; rejects when the store is away. */
  renewAll(): Promise<void>
  /** The tunnel is closed. One that was sent away is expected back soon. */
  release(tunnel: HeldTunnel): void
}

export interface PresenceOptions {
  readonly store: Store
  readonly instance: string
  readonly hub: Hub<HeldTunnel>
  /** Whether this instance lives, as far as is known. */
  isAlive(instance: string): boolean
  /** Tells that instance in another way than by the store, in case a message gets lost. */
  tell?(instance: string, controllerId: string, epoch: number): void
  readonly log: Logger
}

export function createPresenceKeeper(options: PresenceOptions): PresenceKeeper {
  const { store, instance, hub, log } = options
  const waiting = new Map<string, () => void>()
  const working = new Set<Promise<unknown>>()
  let claims: { readonly controllerId: string; readonly epoch: number; readonly at: number }[] = []
  let cursor = hub.all()
  let timer: NodeJS.Timeout | null = null
  let isAway = false
  let unsubscribe: (() => Promise<void>) | null = null

  const keyOf = (controllerId: string, epoch: number) => `${controllerId} ${epoch}`

  function supersede(controllerId: string, epoch: number): void {
    const tunnel = hub.get(controllerId)
    if (tunnel !== undefined && tunnel.epoch < epoch) tunnel.supersede()
  }

  function heard(text: string): void {
    const notice = parseNotice(text)
    if (notice === null) return log.warn('store', 'a message to this shard is no notice')
    const { controllerId, epoch } = notice
    if (notice.kind === 'let_go') return waiting.get(keyOf(controllerId, epoch))?.()
    supersede(controllerId, epoch)
    inBackground(send(notice.from, { kind: 'let_go', controllerId, epoch }))
  }

  const send = (to: string, notice: Notice) => store.publish(channelOf(to), JSON.stringify(notice))

  /** What fails here is repeated by the renewals, or runs out by itself. */
  function inBackground(work: Promise<unknown>): void {
    const tracked: Promise<unknown> = work.catch(() => undefined).finally(() => working.delete(tracked))
    working.add(tracked)
  }

  /** Resolves when the holder has let go, or had time to. What gets lost on the way is told again. */
  function letGo(holder: string, controllerId: string, epoch: number): Promise<void> {
    const key = keyOf(controllerId, epoch)
    return new Promise((resolve) => {
      const goOn = setTimeout(resolve, LET_GO_MS)
      let again: NodeJS.Timeout
      let told = 0
      const tell = () => {
        if (told === TELL_TIMES || !options.isAlive(holder)) {
          waiting.delete(key)
          return
        }
        inBackground(send(holder, { kind: 'superseded', controllerId, epoch, from: instance }))
        options.tell?.(holder, controllerId, epoch)
        again = setTimeout(tell, LET_GO_MS * 2 ** told).unref()
        told += 1
      }
      waiting.set(key, () => {
        waiting.delete(key)
        clearTimeout(goOn)
        clearTimeout(again)
        resolve()
      })
      tell()
    })
  }

  async function renew(tunnels: readonly HeldTunnel[]): Promise<void> {
    for (let start = 0; start < tunnels.length; start += PRESENCE.batch) {
      const batch = tunnels.slice(start, start + PRESENCE.batch)
      const entries = batch.map(({ controllerId, epoch }) => ({ controllerId, epoch }))
      const kept = await store.renewPresence(instance, entries, PRESENCE.ttlMs)
      for (const [index, tunnel] of batch.entries()) {
        if (kept[index] === false && hub.get(tunnel.controllerId) === tunnel) tunnel.supersede()
      }
    }
  }

  /** Those whose turn it is, and those claimed a moment ago. */
  function due(): HeldTunnel[] {
    const now = performance.now()
    const tunnels: HeldTunnel[] = []
    const isNew = claims.findIndex((claim) => claim.at + PRESENCE.repeatClaimMs > now)
    for (const { controllerId, epoch } of claims.splice(0, isNew < 0 ? claims.length : isNew)) {
      const tunnel = hub.get(controllerId)
      if (tunnel?.epoch === epoch) tunnels.push(tunnel)
    }
    for (let share = Math.ceil((hub.size * PRESENCE.tickMs) / PRESENCE.roundMs); share > 0; share--) {
      const next = cursor.next()
      if (next.done === true) {
        cursor = hub.all()
        break
      }
      tunnels.push(next.value)
    }
    return tunnels
  }

  async function tick(): Promise<void> {
    try {
      // After an outage nobody knows what is still written down.
      await renew(isAway ? [...hub.all()] : due())
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
    timer = setTimeout(() => void tick().finally(() => timer !== null && schedule()), PRESENCE.tickMs)
    timer.unref()
  }

  return {
    start() {
      void store.subscribe(channelOf(instance), heard).then((end) => {
        unsubscribe = end
      })
      schedule()
    },
    async stop() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      await Promise.allSettled(working)
      await unsubscribe?.()
    },
    async claim(controllerId, atLeast) {
      const claim = { shard: instance, atLeast, ttlMs: PRESENCE.ttlMs }
      const claimed = await store.claimPresence(controllerId, claim).catch(() => null)
      if (claimed === null) return null
      const { epoch, previous } = claimed
      claims.push({ controllerId, epoch, at: performance.now() })
      const holder = previous?.isMoving === false && previous.shard !== instance ? previous.shard : null
      const isTakeover = holder !== null && options.isAlive(holder)
      if (isTakeover) await letGo(holder, controllerId, epoch)
      return { epoch, isTakeover }
    },
    renewAll: () => renew([...hub.all()]),
    release(tunnel) {
      const { controllerId, epoch } = tunnel
      inBackground(
        tunnel.isLeaving
          ? store.leavePresence(controllerId, epoch, MOVING_MS)
          : store.releasePresence(controllerId, epoch),
      )
    },
  }
}

function parseNotice(text: string): Notice | null {
  try {
    return Notice.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

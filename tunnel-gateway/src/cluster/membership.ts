/**
 * Keeps this shard's lease in the shared store and knows the others by theirs. Rests on the periodic read alone;
 * messages only make it look sooner. While the store is away the last ring stays in force.
 */
import type { Logger } from '@wmoc/platform/log'
import type { Lease, Store } from '@wmoc/platform/store'
import { z } from 'zod'
import { createRing } from '#src/core/ring.ts'
import { createMemberList, LeaseValue } from './member-list.ts'
import type { Member, Membership, Ring } from './members.ts'

const GROUP = 'gateways'
const CHANNEL = 'wmoc:gateways'
const Notice = z.object({ kind: z.enum(['changed', 'left']), instance: z.string().max(100) })
type Notice = z.infer<typeof Notice>

export interface MembershipOptions {
  readonly store: Store
  readonly shard: string
  readonly instance: string
  readonly weight: number
  /** host:port of this shard for the others; read when the lease is written first. */
  peerAddress(): string
  /** A lease that is not renewed for so long has run out, by the store's clock. */
  readonly leaseTtlMs: number
  readonly leaseRenewMs: number
  /** Whether that instance answers over a link: its lease may run out while it alone has lost the store. */
  isReached(instance: string): boolean
  readonly log: Logger
}

export interface ClusterMembership extends Membership {
  /** Joins; when the store is away it goes on trying, and this resolves all the same. */
  start(): Promise<void>
  /** Leaves at once. */
  stop(): Promise<void>
  /** The store lost writes of ours, or our lease ran out while we stood still: what it knows of us must be told again. */
  onStoreLost(listener: () => void): void
  /** Since when the ring has been the same, on the monotonic clock. */
  readonly ringSince: number
}

/** A member that is not started yet: alone on its ring. */
export function createMembership(options: MembershipOptions): ClusterMembership {
  const { store, shard, instance, weight, log } = options
  const startedAtMs = Date.now()
  const listeners = new Set<() => void>()
  const lostListeners = new Set<() => void>()
  let state: Member['state'] = 'serving'
  let beat = 0
  /** The last beat that the store confirmed. */
  let confirmed = 0
  let isAway = false
  let isStopped = false
  let timer: NodeJS.Timeout | null = null
  let unsubscribe: (() => Promise<void>) | null = null
  let round: Promise<void> = Promise.resolve()
  let isLookQueued = false
  let shown = ''
  let weights: ReadonlyMap<string, number> = new Map([[shard, weight]])
  let ring: Ring = createRing([{ shard, weight }], 1)
  let ringSince = performance.now()

  const self = (): LeaseValue => ({
    shard,
    instance,
    peerAddress: options.peerAddress(),
    weight,
    state,
    beat,
    startedAtMs,
  })
  const list = createMemberList(self, options.leaseTtlMs + 2 * options.leaseRenewMs, (other) =>
    options.isReached(other),
  )

  async function look(): Promise<void> {
    const read = (await store.leases(GROUP)).flatMap(parse)
    const own = read.find((member) => member.instance === instance)
    if (confirmed > 0 && (own?.beat ?? 0) < confirmed) {
      log.info('cluster', 'the store has lost this shard, telling it again')
      list.storeLost(performance.now())
      for (const listener of lostListeners) listener()
    }
    const address = options.peerAddress()
    const predecessors = read.filter(
      (other) =>
        other.instance !== instance && other.peerAddress === address && other.startedAtMs < startedAtMs,
    )
    for (const { instance: gone } of predecessors) await store.dropLease(GROUP, gone)
    list.adopt(
      read.filter((member) => !predecessors.includes(member)),
      performance.now(),
    )
    changed()
  }

  async function keep(): Promise<void> {
    beat += 1
    const written = beat
    await store.keepLease(GROUP, { id: instance, value: JSON.stringify(self()) }, options.leaseTtlMs)
    confirmed = written
  }

  /** One after the other, so that an old read never replaces a new one. */
  function inTurn(work: () => Promise<void>): Promise<void> {
    round = round.then(async () => {
      if (isStopped) return
      try {
        await work()
        if (isAway) log.info('cluster', 'the shared store is back')
        isAway = false
      } catch (error) {
        if (!isAway) log.warn('cluster', 'the shared store is away; the last ring stays in force', { error })
        isAway = true
      }
    })
    return round
  }

  const lookAndKeep = () =>
    inTurn(async () => {
      await look()
      await keep()
    })

  /** However many messages come, one read at a time, and one more. */
  function lookSoon(): void {
    if (isLookQueued) return
    isLookQueued = true
    void inTurn(() => {
      isLookQueued = false
      return look()
    })
  }

  function changed(): void {
    const members = list.all()
    const serving = members.filter((member) => member.state === 'serving')
    const places = new Map(serving.map((member) => [member.shard, list.find(member.shard)!.weight]))
    const wanted = [...places].map(([name, share]) => `${name} ${share}`).toSorted()
    const current = ring.shards.map((name) => `${name} ${weights.get(name)}`).toSorted()
    if (wanted.join('\n') !== current.join('\n')) {
      weights = places
      ring = createRing(
        [...places].map(([name, share]) => ({ shard: name, weight: share })),
        ring.epoch + 1,
      )
      ringSince = performance.now()
      log.info('cluster', 'the ring has changed', { epoch: ring.epoch, shards: ring.shards.length })
    }
    const showing = members
      .map((member) => `${member.instance} ${member.state} ${member.peerAddress} ${member.weight}`)
      .toSorted()
      .join('\n')
    if (showing === shown) return
    shown = showing
    for (const listener of listeners) listener()
  }

  async function show(next: Member['state']): Promise<void> {
    state = next
    changed()
    await inTurn(keep)
    await tell('changed')
  }

  async function tell(kind: Notice['kind']): Promise<void> {
    await store.publish(CHANNEL, JSON.stringify({ kind, instance } satisfies Notice)).catch(() => undefined)
  }

  function heard(message: string): void {
    const notice = parseJson(Notice, message)
    if (notice === null || notice.instance === instance) return
    if (notice.kind === 'left') {
      list.left(notice.instance)
      changed()
    }
    lookSoon()
  }

  function schedule(): void {
    const waitMs = options.leaseRenewMs * (0.9 + Math.random() * 0.2)
    timer = setTimeout(() => void lookAndKeep().finally(() => timer !== null && schedule()), waitMs)
    timer.unref()
  }

  return {
    get self() {
      return self()
    },
    members: list.all,
    find: list.find,
    ring: () => ring,
    get ringSince() {
      return ringSince
    },
    onChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    onStoreLost: (listener) => void lostListeners.add(listener),
    leaveRing: () => show('draining'),
    rejoinRing: () => show('serving'),
    async start() {
      void store.subscribe(CHANNEL, heard).then((end) => {
        if (isStopped) void end()
        else unsubscribe = end
      })
      await lookAndKeep()
      await tell('changed')
      schedule()
    },
    async stop() {
      if (timer !== null) clearTimeout(timer)
      timer = null
      await inTurn(() => store.dropLease(GROUP, instance))
      isStopped = true
      await tell('left')
      await unsubscribe?.()
    },
  }

  function parse({ id, value }: Lease): LeaseValue[] {
    const parsed = parseJson(LeaseValue, value)
    if (parsed?.instance === id) return [parsed]
    log.debug('cluster', 'a lease cannot be read and is left out')
    return []
  }
}

function parseJson<Schema extends z.ZodType>(schema: Schema, text: string): z.infer<Schema> | null {
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

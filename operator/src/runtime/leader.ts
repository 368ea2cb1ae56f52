/**
 * One working process among many, by a Lease. Only this process's own monotonic clock is looked at: another may take the
 * lease when it has not seen it renewed for `durationMs`; the leader stops to work well before that, counted from the
 * moment at which it *sent* its last successful renewal, so the two never overlap however slow the network is.
 */
import { randomUUID } from 'node:crypto'
import type { Lease } from 'kubernetes-types/coordination/v1.d.ts'
import type { Logger } from '@wmoc/platform/log'
import { pause } from './clock.ts'
import type { KubeClient } from './client.ts'
import { isKubeError } from './errors.ts'
import type { Ref, Sent, Stored } from './objects.ts'
import { Leases } from './resources.ts'

export interface LeaderElectionOptions {
  readonly client: KubeClient
  readonly lease: Ref
  /** Of this process, for people who look at the lease; made unique by itself. */
  readonly identity: string
  /** Silence after which another may take over; whole seconds. Default 10 s. */
  readonly durationMs?: number
  /** How often the lease is renewed, or looked at by those who wait. Default 2 s. */
  readonly renewMs?: number
  readonly log: Logger
  readonly random?: () => number
}

export interface LeaderElection {
  /**
   * Campaigns until `stop`. Each time this process leads, `lead` is called; its signal is aborted when leadership ends,
   * and the next campaign begins only when `lead` has come to its end.
   */
  start(lead: (signal: AbortSignal) => Promise<void>): void
  /** Whether this process may act now; asks the clock, not only the timers. */
  isLeader(): boolean
  /** Ends what leads, then gives the lease back so that another need not wait. */
  stop(): Promise<void>
}

/** Part of the lease's duration after which a leader that could not renew stops to work. */
const GIVE_UP_AFTER = 0.7

export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, lease: ref, log, durationMs = 10_000, renewMs = 2_000, random = Math.random } = options
  const identity = `${options.identity}_${randomUUID()}`
  const durationSeconds = Math.ceil(durationMs / 1_000)
  const stopping = new AbortController()
  /** Until when we may act, monotonic ms. */
  let leadsUntil = 0
  /** Whether the lease may be ours: a write may be done though its answer never came. */
  let mayHold = false
  let running: Promise<void> = Promise.resolve()
  /** What we saw last, and when it was new to us. */
  let seen: { readonly version: string; readonly at: number } | null = null

  function spec(current: Stored<Lease> | null): NonNullable<Lease['spec']> {
    const now = new Date().toISOString().replace('Z', '000Z')
    const isOurs = current?.spec?.holderIdentity === identity
    return {
      holderIdentity: identity,
      leaseDurationSeconds: durationSeconds,
      acquireTime: isOurs ? current.spec!.acquireTime : now,
      renewTime: now,
      leaseTransitions: (current?.spec?.leaseTransitions ?? 0) + (isOurs || current === null ? 0 : 1),
    }
  }

  /** How long the holder of the lease must still be left alone; 0: nobody holds it, or it is we. */
  function heldForMs(current: Stored<Lease>): number {
    const { holderIdentity, leaseDurationSeconds = durationSeconds } = current.spec ?? {}
    const version = current.metadata.resourceVersion
    if (seen?.version !== version) seen = { version, at: performance.now() }
    if (holderIdentity === undefined || holderIdentity === '' || holderIdentity === identity) return 0
    return Math.max(0, seen.at + leaseDurationSeconds * 1_000 - performance.now())
  }

  /**
   * Takes or renews the lease; answers how long to wait where another holds it. Throws where the server can't be asked.
   * A write that is under way is not given up at a stop: nobody could tell then whether the lease is ours.
   */
  async function tryOnce(
    signal: AbortSignal,
    deadline?: AbortSignal,
  ): Promise<{ readonly isOurs: boolean; readonly heldMs: number }> {
    const current = await client.bind(signal).get(Leases, ref)
    signal.throwIfAborted()
    const bound = deadline === undefined ? client : client.bind(deadline)
    const heldMs = current === null ? 0 : heldForMs(current)
    if (heldMs > 0) return { isOurs: false, heldMs }
    const sentAt = performance.now()
    mayHold = true
    try {
      if (current === null) {
        await bound.create(Leases, { metadata: { ...ref }, spec: spec(null) } as Sent<Lease>)
      } else {
        const { resourceVersion } = current.metadata
        await bound.replace(Leases, {
          metadata: { ...ref, resourceVersion },
          spec: spec(current),
        } as Sent<Lease>)
      }
    } catch (error) {
      if (isKubeError(error, 'Conflict', 'AlreadyExists')) return { isOurs: false, heldMs: 0 }
      throw error
    }
    leadsUntil = sentAt + durationSeconds * 1_000 * GIVE_UP_AFTER
    return { isOurs: true, heldMs: 0 }
  }

  const jittered = (ms: number) => ms * (0.8 + 0.4 * random())

  /** Returns once the lease is ours, or the signal is aborted. */
  async function acquire(signal: AbortSignal): Promise<boolean> {
    while (!signal.aborted) {
      let waitMs = renewMs
      try {
        const { isOurs, heldMs } = await tryOnce(signal)
        if (isOurs) return true
        if (heldMs > 0) waitMs = Math.min(renewMs, heldMs + 10)
      } catch (error) {
        if (!signal.aborted) log.warn('cluster', 'cannot ask for the lease', { lease: ref.name, error })
      }
      await pause(jittered(waitMs), signal)
    }
    return false
  }

  /** Renews until it fails for too long, the lease is another's, or the signal is aborted. */
  async function hold(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && performance.now() < leadsUntil) {
      await pause(Math.min(jittered(renewMs), leadsUntil - performance.now()), signal)
      if (signal.aborted) return
      const leftMs = Math.ceil(Math.min(renewMs * 2, leadsUntil - performance.now()))
      if (leftMs <= 0) return
      const deadline = AbortSignal.timeout(leftMs)
      try {
        const { isOurs, heldMs } = await tryOnce(AbortSignal.any([signal, deadline]), deadline)
        if (!isOurs && heldMs > 0) return
      } catch (error) {
        if (!signal.aborted) log.warn('cluster', 'could not renew the lease', { lease: ref.name, error })
      }
    }
  }

  async function campaign(lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { signal } = stopping
    while (await acquire(signal)) {
      log.info('cluster', 'leads', { lease: ref.name, identity })
      const leading = new AbortController()
      const end = () => leading.abort()
      const work = lead(leading.signal).catch((error: unknown) =>
        log.error('cluster', 'what leads has failed', { error }),
      )
      const ended = new AbortController()
      void work.then(() => ended.abort())
      signal.addEventListener('abort', end, { once: true })
      if (signal.aborted) end()
      // Renews also while the work comes to its end at a stop: nobody else is to begin before.
      const holding = hold(ended.signal)
      await Promise.race([holding, ended.signal.aborted ? null : work])
      end()
      signal.removeEventListener('abort', end)
      await work
      await holding
      if (signal.aborted) break
      leadsUntil = 0
      log.warn('cluster', 'leads no more', { lease: ref.name, identity })
      await pause(jittered(renewMs), signal)
    }
    if (mayHold) await release()
    leadsUntil = 0
  }

  async function release(): Promise<void> {
    try {
      const current = await client.get(Leases, ref)
      if (current?.spec?.holderIdentity !== identity) return
      const freed = { ...current.spec, holderIdentity: '', leaseDurationSeconds: 1 }
      await client.replace(Leases, {
        metadata: { ...ref, resourceVersion: current.metadata.resourceVersion },
        spec: freed,
      } as Sent<Lease>)
    } catch (error) {
      log.warn('cluster', 'could not give the lease back', { lease: ref.name, error })
    }
  }

  return {
    start(lead) {
      running = campaign(lead)
    },
    isLeader: () => performance.now() < leadsUntil,
    async stop() {
      stopping.abort()
      await running
    },
  }
}

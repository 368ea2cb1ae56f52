/**
 * Controllers that no shard takes for a while: two devices fight over one credential, or a device's bytes break what
 * handles them. Kept in the shared store, so that neither goes on at the next shard.
 */
import { createHash } from 'node:crypto'
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import type { Reporter } from './reporter.ts'

export type DisputeReason = 'conflict' | 'quarantined'

export interface Dispute {
  readonly reason: DisputeReason
  readonly forMs: number
}

export interface Disputes {
  /** Null: none, or the store is away. */
  of(controllerId: string): Promise<Dispute | null>
  /** No shard takes this controller for a while, and its owner is told. */
  begin(controllerId: string, reason: DisputeReason, remoteAddress: string): Promise<void>
  /**
   * A registration here pushed out a live tunnel of another shard.
   * @param identity What tells two devices with one credential apart. @returns Whether two devices fight over it.
   */
  takenOver(controllerId: string, identity: string): Promise<boolean>
  /** An exception escaped from what handles this device. */
  broke(controllerId: string, remoteAddress: string): Promise<void>
}

const FOR_MS: Record<DisputeReason, number> = { conflict: 60_000, quarantined: 600_000 }
/** As long as the detector of one shard looks back. */
const WINDOW_MS = 120_000
/** So often one identity may push out another: the third change of sides is the fight. */
const MAX_RETURNS = 1
const MAX_BREAKS = 1

export function createDisputes(options: { store: Store; reporter: Reporter; log: Logger }): Disputes {
  const { store, reporter, log } = options
  const key = (kind: string, controllerId: string) => `wmoc:gateway:${kind}:${controllerId}`

  async function begin(controllerId: string, reason: DisputeReason, remoteAddress: string): Promise<void> {
    log.warn('security', WORDS[reason], { controllerId, address: remoteAddress })
    reporter.event({ type: 'auth_failed', controllerId, remoteAddress, reason, at: Date.now() })
    const ttlMs = FOR_MS[reason]
    await quietly(store.set(key('dispute', controllerId), `${reason} ${Date.now() + ttlMs}`, { ttlMs }))
  }

  /** Where the store is away, each shard knows what it saw itself. */
  const quietly = <T>(work: Promise<T>): Promise<T | null> => work.catch(() => null)

  return {
    begin,
    async of(controllerId) {
      const [reason, until] = (await quietly(store.get(key('dispute', controllerId))))?.split(' ') ?? []
      if (reason !== 'conflict' && reason !== 'quarantined') return null
      return { reason, forMs: Math.min(FOR_MS[reason], Math.max(1_000, Number(until) - Date.now())) }
    },
    async takenOver(controllerId, identity) {
      const mine = createHash('sha256').update(identity).digest('base64url').slice(0, 22)
      const lastKey = key('holder', controllerId)
      const last = await quietly(store.take(lastKey))
      await quietly(store.set(lastKey, mine, { ttlMs: WINDOW_MS }))
      if (last === null || last === mine) return false
      const returns = await quietly(store.increment(key(`returns:${mine}`, controllerId), WINDOW_MS))
      return returns !== null && returns > MAX_RETURNS
    },
    async broke(controllerId, remoteAddress) {
      const breaks = await quietly(store.increment(key('broke', controllerId), FOR_MS.quarantined))
      if (breaks !== null && breaks > MAX_BREAKS) await begin(controllerId, 'quarantined', remoteAddress)
    },
  }
}

const WORDS: Record<DisputeReason, string> = {
  conflict: 'two devices fight over one credential',
  quarantined: 'a device breaks what handles it, and is kept out',
}

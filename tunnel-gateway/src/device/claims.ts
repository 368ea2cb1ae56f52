/** Devices that show a code and wait for a person: asks for the outcome, renews the code when it ran out. */
import type { Logger } from '@wmoc/platform/log'
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import type { Claim, Registrar, Verdict } from './registrar.ts'

export interface WaitingDevice {
  readonly device: DeviceDescription
  /** A code to show. */
  show(claim: Claim): void
  /** Confirmed, or refused for good. */
  settle(verdict: Exclude<Verdict, { kind: 'claim' }>): void
}

interface Entry {
  claim: Claim
  readonly waiting: WaitingDevice
  isAsking: boolean
  isAgain: boolean
  nextAt: number
}

export interface Claims {
  /** Begins to wait; the returned function ends it. */
  wait(claim: Claim, waiting: WaitingDevice): () => void
  /** The API says that a claim was confirmed. */
  confirmed(claimId: string): void
  /** To be called about every second. @param now Milliseconds since 1970. */
  tick(now: number): void
  readonly size: number
}

/** Pushed notices can get lost, so each claim is asked for this often too. */
const POLL_MS = 3_000

export function createClaims(registrar: Registrar, log: Logger): Claims {
  const entries = new Map<string, Entry>()

  async function ask(entry: Entry): Promise<void> {
    if (entry.isAsking) {
      entry.isAgain = true
      return
    }
    entry.isAsking = true
    entry.nextAt = Date.now() + POLL_MS
    try {
      const verdict = await registrar.collect(entry.claim)
      if (verdict === 'gone') await renew(entry)
      else if (verdict !== null && verdict.kind !== 'claim') settle(entry, verdict)
    } catch (error) {
      log.debug('auth', 'cannot ask for a claim, will repeat', { error })
    } finally {
      entry.isAsking = false
    }
    if (!entry.isAgain) return
    entry.isAgain = false
    if (entries.get(entry.claim.claimId) === entry) await ask(entry)
  }

  function settle(entry: Entry, verdict: Exclude<Verdict, { kind: 'claim' }>): void {
    if (!entries.delete(entry.claim.claimId)) return
    entry.waiting.settle(verdict)
  }

  async function renew(entry: Entry): Promise<void> {
    const verdict = await registrar.reopen(entry.waiting.device)
    if (entries.get(entry.claim.claimId) !== entry) return
    if (verdict.kind !== 'claim') return settle(entry, verdict)
    entries.delete(entry.claim.claimId)
    entry.claim = verdict.claim
    entries.set(entry.claim.claimId, entry)
    entry.waiting.show(verdict.claim)
  }

  return {
    wait(claim, waiting) {
      const entry: Entry = { claim, waiting, isAsking: false, isAgain: false, nextAt: Date.now() + POLL_MS }
      entries.set(claim.claimId, entry)
      return () => {
        if (entries.get(entry.claim.claimId) === entry) entries.delete(entry.claim.claimId)
      }
    },
    confirmed(claimId) {
      const entry = entries.get(claimId)
      if (entry !== undefined) void ask(entry)
    },
    tick(now) {
      for (const entry of entries.values()) if (now >= entry.nextAt) void ask(entry)
    },
    get size() {
      return entries.size
    },
  }
}

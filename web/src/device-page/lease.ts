/**
 * The right to show one device's page: asked for, renewed while the page is open, given back. No DOM: the calls and the
 * clock come in.
 */
import type { Opened, OpenedFrame } from './contract.ts'

export type LeaseState =
  | { readonly kind: 'opening' }
  | { readonly kind: 'open'; readonly frame: OpenedFrame }
  | { readonly kind: 'own_origin'; readonly url: string }
  | { readonly kind: 'failed'; readonly error: unknown }

export interface LeaseDeps {
  readonly open: () => Promise<Opened>
  readonly renew: (capability: string) => Promise<{ expiresAt: number; renewAfterMs: number }>
  /** Must not need an answer: the document may be going away. */
  readonly revoke: (capability: string) => void
  /** Whether the platform refused, and would again; else it may only be away for a moment. */
  readonly isRefusal: (error: unknown) => boolean
  readonly now: () => number
  /** Answers what cancels it. */
  readonly schedule: (task: () => void, delayMs: number) => () => void
  readonly onState: (state: LeaseState) => void
}

export interface Lease {
  /** Asks anew, whatever there was. */
  start(): void
  /** The document is looked at again: timers may have slept. */
  wake(): void
  /** Gives it back; `start` may follow. */
  stop(): void
}

const RETRY_MS = 10_000

export function createLease(deps: LeaseDeps): Lease {
  let frame: OpenedFrame | null = null
  let cancel: () => void = () => {}
  /** Answers of an earlier turn are nobody's. */
  let turn = 0

  function later(task: () => void, delayMs: number): void {
    cancel()
    cancel = deps.schedule(task, delayMs)
  }

  async function open(): Promise<void> {
    const mine = ++turn
    cancel()
    try {
      const opened = await deps.open()
      if (mine !== turn) {
        if (opened.kind === 'frame') deps.revoke(opened.capability)
        return
      }
      if (opened.kind === 'own_origin') return deps.onState(opened)
      frame = opened
      deps.onState({ kind: 'open', frame })
      later(() => void renew(), opened.renewAfterMs)
    } catch (error) {
      if (mine !== turn) return
      frame = null
      deps.onState({ kind: 'failed', error })
      if (!deps.isRefusal(error)) later(() => void open(), RETRY_MS)
    }
  }

  async function renew(): Promise<void> {
    const current = frame
    if (!current) return
    const mine = ++turn
    cancel()
    try {
      const renewed = await deps.renew(current.capability)
      if (mine !== turn) return
      frame = { ...current, ...renewed }
      later(() => void renew(), renewed.renewAfterMs)
    } catch (error) {
      if (mine !== turn) return
      // It has ended, perhaps only because it was as old as one may get: a new one tells.
      if (deps.isRefusal(error) || deps.now() >= current.expiresAt) return open()
      later(() => void renew(), RETRY_MS)
    }
  }

  return {
    start() {
      if (frame) deps.revoke(frame.capability)
      frame = null
      deps.onState({ kind: 'opening' })
      void open()
    },
    wake() {
      if (frame) void renew()
    },
    stop() {
      turn++
      cancel()
      if (frame) deps.revoke(frame.capability)
      frame = null
    },
  }
}

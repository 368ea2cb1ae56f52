/** Whether a kept answer may be used now: RFC 9111 section 4.2, and what a device that came anew changes. */
import { parseDirectives } from './directives.ts'

export interface Aged {
  /** When it came, or was last confirmed. */
  readonly storedAt: number
  readonly ageMs: number
  readonly freshMs: number
  readonly staleWhileAskingMs: number
  readonly staleIfErrorMs: number
  readonly isImmutable: boolean
  /** The device's registration that it came by. */
  readonly epoch: number
}

export type Verdict =
  | 'fresh'
  /** To be used at once, and asked for anew in the background. */
  | 'stale_while_asking'
  /** The device has to be asked first. */
  | 'ask'

/**
 * @param requested The request's `Cache-Control`.
 * @param epoch The device's present registration; null: nobody knows.
 */
export function judge(aged: Aged, requested: string, epoch: number | null, now: number): Verdict {
  const wanted = parseDirectives(requested)
  if (wanted.has('no-cache')) return 'ask'
  // A device that was away may have another page now; what names its content can't be another one.
  if (!aged.isImmutable && epoch !== null && epoch !== aged.epoch) return 'ask'
  const age = ageNow(aged, now)
  const maxAge = aged.isImmutable ? null : wanted.seconds('max-age')
  if (maxAge !== null && age > maxAge * 1_000) return 'ask'
  if (maxAge === 0) return 'ask'
  const minFreshMs = (wanted.seconds('min-fresh') ?? 0) * 1_000
  if (age + minFreshMs < aged.freshMs) return 'fresh'
  if (minFreshMs > 0) return 'ask'
  return age < aged.freshMs + aged.staleWhileAskingMs ? 'stale_while_asking' : 'ask'
}

/** Whether it may stand in for a device that fails. */
export function isGoodOnError(aged: Aged, now: number): boolean {
  return aged.staleIfErrorMs > 0 && ageNow(aged, now) < aged.freshMs + aged.staleIfErrorMs
}

/** Milliseconds since the device made it, as far as that is known. */
export function ageNow({ storedAt, ageMs }: Pick<Aged, 'storedAt' | 'ageMs'>, now: number): number {
  return Math.max(0, now - storedAt) + ageMs
}

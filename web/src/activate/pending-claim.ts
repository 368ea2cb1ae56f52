/** A code that was scanned before anybody had signed in: it survives sign-up, a mail and another tab. */
import { readStored, store } from '#src/ui/stored.ts'
import { parseActivation } from './parse-activation.ts'

const KEY = 'wmoc.claim'
/** A device shows its code no longer than this. */
const LIFE_MS = 10 * 60_000

/** Keeps the fragment of `/activate#…` when there is a code in it. */
export function keepClaim(hash: string, nowMs: number): void {
  const found = parseActivation(hash)
  if (hash && found?.kind === 'code') store(KEY, JSON.stringify({ code: found.code, atMs: nowMs }))
}

/** The kept code, once; null when there is none or it is too old. */
export function takeClaim(nowMs: number): string | null {
  const stored = readStored(KEY)
  store(KEY, null)
  return fresh(stored, nowMs)
}

export function hasClaim(nowMs: number): boolean {
  return fresh(readStored(KEY), nowMs) !== null
}

function fresh(stored: string | null, nowMs: number): string | null {
  if (stored === null) return null
  try {
    const { code, atMs } = JSON.parse(stored) as { code: unknown; atMs: unknown }
    if (typeof code !== 'string' || typeof atMs !== 'number') return null
    return nowMs - atMs < LIFE_MS ? code : null
  } catch {
    return null
  }
}

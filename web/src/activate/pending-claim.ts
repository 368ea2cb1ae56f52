/** A code that was scanned before anybody had signed in: it survives sign-up, a mail and another tab. */
import { readStored, store } from '#src/ui/stored.ts'

const KEY = 'wmoc.claim'
/** A device shows its code no longer than this. */
const LIFE_MS = 10 * 60_000

/** Keeps the fragment of `/activate#CODE`, as it is: whether a code is in it shows when it is taken. */
export function keepClaim(hash: string, nowMs: number): void {
  if (hash.length > 1 && hash.length < 100) store(KEY, JSON.stringify({ hash, atMs: nowMs }))
}

/** The kept fragment, once; null when there is none or it is too old. */
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
    const { hash, atMs } = JSON.parse(stored) as { hash: unknown; atMs: unknown }
    if (typeof hash !== 'string' || typeof atMs !== 'number') return null
    return nowMs - atMs < LIFE_MS ? hash : null
  } catch {
    return null
  }
}

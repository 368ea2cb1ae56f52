/** What became of pages after they were opened, as all shards know it: until when they were renewed, and which were closed. */
import type { Store } from '@wmoc/platform/store'
import { LRUCache } from 'lru-cache'

export interface PageState {
  /** Milliseconds since 1970; 0: never. */
  readonly renewedUntil: number
  readonly isRevoked: boolean
}

export interface PageStates {
  /** At most `freshMs` old; `isDoubted`: at most `doubtedMs`. While the store is away, what was known last. */
  of(page: string, isDoubted?: boolean): PageState | Promise<PageState>
  /** @param untilMs Milliseconds since 1970. Rejects while the store is away. */
  renew(page: string, untilMs: number): Promise<void>
  /** For all shards that look it up. Rejects while the store is away, but this shard knows it in any case. */
  revoke(page: string): Promise<void>
  /** Another shard revoked it. */
  noteRevoked(page: string): void
}

interface Known extends PageState {
  readonly readAt: number
}

const NEVER: Known = { renewedUntil: 0, isRevoked: false, readAt: -Infinity }
const REVOKED = { renewedUntil: 0, isRevoked: true }

export interface PageStatesOptions {
  /** Nothing is asked of a page that is older. */
  readonly maxAgeMs: number
  /** How long what was read is believed, … */
  readonly freshMs?: number
  /** … and where it would end a page. */
  readonly doubtedMs?: number
}

export function createPageStates(store: Store, options: PageStatesOptions): PageStates {
  const { maxAgeMs, freshMs = 30_000, doubtedMs = 1_000 } = options
  const pages = new LRUCache<string, Known>({ max: 50_000 })
  const reading = new Map<string, Promise<PageState>>()
  const known = (page: string) => pages.get(page) ?? NEVER
  const put = (page: string, state: PageState) =>
    void pages.set(page, { ...state, readAt: performance.now() })

  async function read(page: string): Promise<PageState> {
    try {
      const [until, end] = await Promise.all([store.get(untilKey(page)), store.get(endKey(page))])
      const now = known(page)
      const stored = until === null ? 0 : Number(until)
      const isRevoked = now.isRevoked || end !== null
      // The store may have lost what this shard knows.
      if (stored < now.renewedUntil && !isRevoked) void write(page, now.renewedUntil).catch(() => undefined)
      put(page, { renewedUntil: Math.max(stored, now.renewedUntil), isRevoked })
    } catch {
      put(page, known(page))
    } finally {
      reading.delete(page)
    }
    return known(page)
  }

  async function write(page: string, untilMs: number): Promise<void> {
    const ttlMs = Math.max(1, untilMs - Date.now())
    await store.set(untilKey(page), String(untilMs), { ttlMs })
  }

  return {
    of(page, isDoubted = false) {
      const state = known(page)
      const isFresh = performance.now() - state.readAt < (isDoubted ? doubtedMs : freshMs)
      if (state.isRevoked || isFresh) return state
      const present = reading.get(page)
      if (present !== undefined) return present
      const question = read(page)
      reading.set(page, question)
      return question
    },
    async renew(page, untilMs) {
      await write(page, untilMs)
      put(page, { ...known(page), renewedUntil: untilMs })
    },
    async revoke(page) {
      put(page, REVOKED)
      await store.set(endKey(page), '1', { ttlMs: maxAgeMs })
    },
    noteRevoked: (page) => put(page, REVOKED),
  }
}

function untilKey(page: string): string {
  return `wmoc:page:${page}:until`
}

function endKey(page: string): string {
  return `wmoc:page:${page}:end`
}

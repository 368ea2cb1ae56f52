/**
 * Answers of the control plane, kept for a short time. Fresh ones are used as they are; older ones only while the API
 * is away; pushed notices forget them sooner.
 */
import { LRUCache } from 'lru-cache'

export interface CacheOptions<Value> {
  readonly max: number
  readonly freshMs: number
  /** How long an answer serves, from when it was given, while a new one cannot be had. */
  readonly staleMs: number
  /** A shorter life for some answers, "unknown" for one. */
  freshMsOf?(value: Value): number
  ask(key: string): Promise<Value>
}

export interface Cache<Value> {
  /** The answer if it is at hand and fresh. */
  peek(key: string): Value | undefined
  /** At hand at whatever age within `staleMs`. */
  peekStale(key: string): Value | undefined
  get(key: string): Promise<Value>
  put(key: string, value: Value): void
  forget(key: string): void
  forgetWhere(test: (key: string) => boolean): void
}

interface Entry<Value> {
  readonly value: Value
  readonly at: number
}

export function createCache<Value>(options: CacheOptions<Value>): Cache<Value> {
  const entries = new LRUCache<string, Entry<Value>>({ max: options.max })
  const asking = new Map<string, Promise<Value>>()
  const age = (entry: Entry<Value>) => performance.now() - entry.at
  const put = (key: string, value: Value) => void entries.set(key, { value, at: performance.now() })

  const cache: Cache<Value> = {
    peek(key) {
      const entry = entries.get(key)
      if (entry === undefined) return undefined
      return age(entry) < (options.freshMsOf?.(entry.value) ?? options.freshMs) ? entry.value : undefined
    },
    peekStale(key) {
      const entry = entries.get(key)
      return entry !== undefined && age(entry) < options.staleMs ? entry.value : undefined
    },
    get(key) {
      const fresh = cache.peek(key)
      if (fresh !== undefined) return Promise.resolve(fresh)
      const present = asking.get(key)
      if (present !== undefined) return present
      const question: Promise<Value> = options.ask(key).then(
        (value) => {
          // Forgotten meanwhile: the answer may be older than the reason why.
          if (asking.get(key) === question) put(key, value)
          return value
        },
        (error: unknown) => {
          const stale = asking.get(key) === question ? cache.peekStale(key) : undefined
          if (stale !== undefined) return stale
          throw error
        },
      )
      asking.set(key, question)
      const settled = () => {
        if (asking.get(key) === question) asking.delete(key)
      }
      question.then(settled, settled)
      return question
    },
    put,
    forget(key) {
      entries.delete(key)
      asking.delete(key)
    },
    forgetWhere(test) {
      for (const key of [...entries.keys(), ...asking.keys()]) if (test(key)) cache.forget(key)
    },
  }
  return cache
}

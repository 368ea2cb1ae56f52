/** Cookies of devices for those who keep none: API clients and pages in frames. Per sign-in session, or page of a guest, and controller, in the store. */
import type { Store } from '@wmoc/platform/store'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { cookiesFor, scriptCookies, updateJar } from '#src/core/cookie-rules.ts'
import type { JarCookie } from '#src/core/cookie-rules.ts'
import { holderOf } from './principal.ts'
import type { Principal } from './principal.ts'

const JAR_TTL_MS = 24 * 3_600_000
const Jar = z.array(
  z.object({
    name: z.string(),
    value: z.string(),
    path: z.string(),
    expiresAt: z.number().nullable(),
    isHttpOnly: z.boolean().optional(),
  }),
)

export interface CookieJars {
  /** The `Cookie` header for a request, at once where the jar is at hand; empty when there is none. */
  cookieHeader(principal: Principal, controllerId: string, path: string): string | Promise<string>
  /** The same for a page, whose requests may reach one shard after another: as the store has it now. */
  latestHeader(principal: Principal, controllerId: string, path: string): Promise<string>
  keep(principal: Principal, controllerId: string, path: string, setCookies: readonly string[]): void
  /** `document.cookie` of the page at the path. */
  readByScript(principal: Principal, controllerId: string, path: string): Promise<string>
  /** Kept when it resolves, as far as the store can be reached: the page's next request counts on it. */
  setByScript(principal: Principal, controllerId: string, path: string, setCookie: string): Promise<void>
}

export function createCookieJars(store: Store): CookieJars {
  // By the second: by the millisecond, as is the default, it sets a timer a thousand times a second.
  const jars = new LRUCache<string, readonly JarCookie[]>({ max: 10_000, ttl: 60_000, ttlResolution: 1_000 })
  const keyOf = (principal: Principal, controllerId: string) =>
    `wmoc:jar:${principal.linkId === undefined ? principal.sessionId : holderOf(principal)}:${controllerId}`

  /** Without the store there are no cookies; the request goes on. */
  async function load(key: string): Promise<readonly JarCookie[]> {
    const text = await store.get(key).catch(() => undefined)
    if (text === undefined) return jars.get(key) ?? []
    const jar = text === null ? [] : (Jar.safeParse(JSON.parse(text)).data ?? [])
    jars.set(key, jar)
    return jar
  }

  return {
    cookieHeader(principal, controllerId, path) {
      const key = keyOf(principal, controllerId)
      const jar = jars.get(key)
      return jar === undefined ? load(key).then((loaded) => header(loaded, path)) : header(jar, path)
    },
    async latestHeader(principal, controllerId, path) {
      return header(await load(keyOf(principal, controllerId)), path)
    },
    keep(principal, controllerId, path, setCookies) {
      const key = keyOf(principal, controllerId)
      const next = updateJar(jars.get(key) ?? [], setCookies, path, Date.now())
      jars.set(key, next)
      void store.set(key, JSON.stringify(next), { ttlMs: JAR_TTL_MS }).catch(() => undefined)
    },
    async readByScript(principal, controllerId, path) {
      return header(scriptCookies(await load(keyOf(principal, controllerId))), path)
    },
    async setByScript(principal, controllerId, path, setCookie) {
      const key = keyOf(principal, controllerId)
      const next = updateJar(await load(key), [setCookie], path, Date.now(), true)
      jars.set(key, next)
      await store.set(key, JSON.stringify(next), { ttlMs: JAR_TTL_MS }).catch(() => undefined)
    },
  }
}

function header(jar: readonly JarCookie[], path: string): string {
  return jar.length === 0 ? '' : cookiesFor(jar, path, Date.now())
}

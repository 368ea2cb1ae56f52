/** Opens the shared store that the URL names. */
import type { Logger } from './log.ts'
import { createEmbeddedStore } from './store-embedded.ts'
import { createRedisStore } from './store-redis.ts'
import type { Store } from './store.ts'

/**
 * @param options.url `redis://…` or `rediss://…`, or `embedded://host:port?token=…`.
 * @param options.name Shown by Redis as the connection's name.
 */
export function openStore(options: { url: string; log: Logger; name: string }): Store {
  const { protocol } = new URL(options.url)
  if (protocol === 'redis:' || protocol === 'rediss:') return createRedisStore(options)
  if (protocol === 'embedded:') return createEmbeddedStore(options)
  throw new Error(`REDIS_URL must begin with redis://, rediss:// or embedded://, not ${protocol}`)
}

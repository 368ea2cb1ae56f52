import { setTimeout as sleep } from 'node:timers/promises'
import type { Store } from '@wmoc/platform/store'

const PATIENCE_MS = 1_000

/**
 * Subscribes without holding up a start: after a second without the store it goes on in the background, and whoever
 * listens polls anyway. The answer ends the subscription.
 */
export async function subscribeSoftly(
  store: Store,
  channel: string,
  listener: (message: string) => void,
): Promise<() => Promise<void>> {
  const patience = new AbortController()
  let isOver = false
  let unsubscribe: (() => Promise<void>) | null = null
  const subscribed = store.subscribe(channel, listener).then(
    async (end) => {
      patience.abort()
      unsubscribe = end
      if (isOver) await end()
    },
    () => patience.abort(),
  )
  await Promise.race([subscribed, sleep(PATIENCE_MS, undefined, { signal: patience.signal }).catch(() => {})])
  return async () => {
    isOver = true
    await unsubscribe?.()
  }
}

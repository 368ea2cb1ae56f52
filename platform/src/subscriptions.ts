/** Who listens to which channel: standing wishes that outlive a connection. The two stores bring the transport. */
import type { Logger } from './log.ts'
import type { Store } from './store.ts'

export interface Subscriptions {
  /** Resolves once the channel is subscribed; while the store is away that is when it is back. */
  readonly add: Store['subscribe']
  readonly deliver: (channel: string, message: string) => void
  /** Called at each new connection: subscribes to all again. */
  readonly renew: () => void
}

interface Channel {
  readonly listeners: Set<(message: string) => void>
  /** Settled once subscribed on some connection. */
  readonly first: PromiseWithResolvers<void>
}

/**
 * @param transport.subscribe Rejects while the store is away; `renew` is called when it is back.
 */
export function createSubscriptions(
  transport: { subscribe(channel: string): Promise<unknown>; unsubscribe(channel: string): Promise<unknown> },
  log: Logger,
): Subscriptions {
  const channels = new Map<string, Channel>()

  function ask(name: string, channel: Channel): void {
    transport.subscribe(name).then(
      () => channel.first.resolve(),
      () => undefined,
    )
  }

  return {
    async add(name, listener) {
      const present = channels.get(name)
      const channel = present ?? { listeners: new Set(), first: Promise.withResolvers<void>() }
      channel.listeners.add(listener)
      if (present === undefined) {
        channels.set(name, channel)
        ask(name, channel)
      }
      await channel.first.promise
      return async () => {
        channel.listeners.delete(listener)
        if (channel.listeners.size > 0 || channels.get(name) !== channel) return
        channels.delete(name)
        await transport.unsubscribe(name).catch(() => undefined)
      }
    },
    deliver(name, message) {
      for (const listener of channels.get(name)?.listeners ?? []) {
        try {
          listener(message)
        } catch (error) {
          log.error('store', 'a listener failed', { error })
        }
      }
    },
    renew() {
      for (const [name, channel] of channels) ask(name, channel)
    },
  }
}

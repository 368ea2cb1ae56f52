/**
 * Word among the shards that something was changed at a device, so that none shows what it keeps from before. Programs
 * change things in bursts: the first of them is told at once, those of the next moment together.
 */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import type { GatewayNotice } from '@wmoc/protocol/control-plane'

export interface Changes {
  /** Tells all shards, this one too. */
  announce(controllerId: string): void
}

const TOGETHER_MS = 100

export function createChanges(store: Pick<Store, 'publish'>, log: Logger): Changes {
  /** Told a moment ago; true: and changed again since. */
  const recent = new Map<string, boolean>()

  function publish(controllerId: string): void {
    recent.set(controllerId, false)
    setTimeout(() => {
      const isChanged = recent.get(controllerId)
      recent.delete(controllerId)
      if (isChanged === true) publish(controllerId)
    }, TOGETHER_MS).unref()
    const notice: GatewayNotice = { type: 'page_changed', controllerId }
    store.publish(GATEWAY_CHANNEL, JSON.stringify(notice)).catch((error: unknown) =>
      // What is kept elsewhere lives on for as long as the device said.
      log.debug('store', 'could not tell the other shards of a change', { error }),
    )
  }

  return {
    announce(controllerId) {
      if (recent.has(controllerId)) recent.set(controllerId, true)
      else publish(controllerId)
    },
  }
}

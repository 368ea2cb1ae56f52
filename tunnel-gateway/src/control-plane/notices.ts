/** What the API tells every shard. Each notice only makes the gateway look sooner than it would have. */
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL, GatewayNotice } from '@wmoc/protocol/control-plane'

export type NoticeHandlers = {
  readonly [Type in GatewayNotice['type']]: (notice: Extract<GatewayNotice, { type: Type }>) => void
}

/** Listens until the returned function is called. Messages that are no notices are logged and left. */
export function subscribeNotices(
  store: Store,
  handlers: NoticeHandlers,
  log: Logger,
): Promise<() => Promise<void>> {
  return store.subscribe(GATEWAY_CHANNEL, (message) => {
    const notice = parse(message)
    if (notice === null) {
      log.warn('store', 'a message on the gateway channel is no notice')
      return
    }
    // The handler is picked by the notice's own type.
    ;(handlers[notice.type] as (given: GatewayNotice) => void)(notice)
  })
}

function parse(message: string): GatewayNotice | null {
  try {
    return GatewayNotice.safeParse(JSON.parse(message)).data ?? null
  } catch {
    return null
  }
}

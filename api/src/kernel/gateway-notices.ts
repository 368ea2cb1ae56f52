import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { GATEWAY_CHANNEL } from '@wmoc/protocol/control-plane'
import { afterCommit } from './after-commit.ts'
import type { Kernel } from './module.ts'

/** The road to every gateway shard. A notice that is lost costs time only: the gateway asks again by itself. */
export function createGatewayNotices(store: Store, log: Logger): Kernel['notifyGateway'] {
  return (notice, transaction) =>
    afterCommit(transaction, () => {
      store.publish(GATEWAY_CHANNEL, JSON.stringify(notice)).catch((error: unknown) => {
        log.warn('store', 'a notice to the gateway was lost', { notice: notice.type, error })
      })
    })
}

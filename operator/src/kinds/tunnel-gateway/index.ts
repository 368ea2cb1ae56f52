/** The kind TunnelGateway. */
import type { Kind } from '#src/runtime/kind.ts'
import { createTunnelGatewayController } from './reconcile.ts'
import { crd } from './schema.ts'
import { createShardClient } from './shard-client.ts'

export const tunnelGateway: Kind = {
  crd,
  createController: () => createTunnelGatewayController(createShardClient()),
}

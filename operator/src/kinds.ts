/** The kinds that this operator reconciles; one line each. */
import { alertPolicy } from './kinds/alert-policy/index.ts'
import { controller } from './kinds/controller/index.ts'
import { tunnelGateway } from './kinds/tunnel-gateway/index.ts'
import type { Kind } from './runtime/kind.ts'

export const KINDS: readonly Kind[] = [tunnelGateway, alertPolicy, controller]

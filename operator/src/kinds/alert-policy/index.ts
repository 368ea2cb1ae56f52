/** The kind AlertPolicy. */
import type { Kind } from '#src/runtime/kind.ts'
import { createAlertPolicyController } from './reconcile.ts'
import { crd } from './schema.ts'

export const alertPolicy: Kind = { crd, createController: () => createAlertPolicyController() }

/** A kind of ours: its definition for the API server, and what makes its controller. */
import type { Logger } from '@wmoc/platform/log'
import type { Metrics } from '@wmoc/platform/metrics'
import type { OperatorConfig } from '#src/config.ts'
import type { CrdDefinition } from '#src/crds/definition.ts'
import type { ControllerDefinition } from './controller.ts'

/** What the process gives to each kind. */
export interface KindDeps {
  readonly config: OperatorConfig
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Kind {
  readonly crd: CrdDefinition
  createController(deps: KindDeps): ControllerDefinition
}

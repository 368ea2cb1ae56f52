/** All scenarios, in the order in which they run. */
import type { Scenario } from './plan.ts'
import { bulk } from './scenarios/bulk.ts'
import { connections } from './scenarios/connections.ts'
import { hop } from './scenarios/hop.ts'
import { idle } from './scenarios/idle.ts'
import { cancel, sse } from './scenarios/latency.ts'
import { page } from './scenarios/page.ts'
import { restart } from './scenarios/restart.ts'
import { rewrite } from './scenarios/rewrite.ts'
import { slowReaders } from './scenarios/slow-readers.ts'
import { small } from './scenarios/small.ts'
import { storm } from './scenarios/storm.ts'

export const SCENARIOS: readonly Scenario[] = [
  small,
  hop,
  connections,
  bulk,
  slowReaders,
  idle,
  storm,
  sse,
  cancel,
  page,
  rewrite,
  restart,
]

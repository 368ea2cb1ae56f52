/** One turn of a controller: its time limit, what its end is called, and what is done next. */
import type { Logger } from '@wmoc/platform/log'
import type { ControllerDefinition, ReconcileContext } from './controller.ts'
import { isKubeError } from './errors.ts'
import type { ReconcileOutcome } from './metrics.ts'
import { parseKey } from './objects.ts'

export interface Turn {
  readonly outcome: ReconcileOutcome
  readonly seconds: number
  /** When to look again though nothing changes. */
  readonly againMs: number
}

const TIMEOUT_MS = 60_000
const RESYNC_MS = 600_000

/**
 * Runs `reconcile` for one key. Never throws.
 * @param leading Aborted when the process must not act any more
 */
export async function takeTurn(
  definition: ControllerDefinition,
  key: string,
  leading: AbortSignal,
  contextOf: (signal: AbortSignal) => ReconcileContext<unknown>,
  log: Logger,
): Promise<Turn> {
  const { timeoutMs = TIMEOUT_MS, resyncMs = RESYNC_MS } = definition
  const timeout = AbortSignal.timeout(timeoutMs)
  const startedAt = performance.now()
  // Spread over a fifth, so that all that came with one list does not come back at once.
  let againMs = resyncMs * (0.9 + 0.2 * Math.random())
  let outcome: ReconcileOutcome = 'success'
  try {
    const signal = AbortSignal.any([leading, timeout])
    const result = await definition.reconcile(parseKey(key), contextOf(signal))
    againMs = Math.min(againMs, result?.requeueAfterMs ?? Infinity)
  } catch (error) {
    outcome = leading.aborted ? 'aborted' : timeout.aborted ? 'timeout' : outcomeOf(error)
    const fields = { kind: definition.kind.kind, key, outcome, error }
    if (outcome === 'conflict' || outcome === 'aborted') log.debug('cluster', 'reconcile again', fields)
    else log.error('cluster', 'could not reconcile', fields)
  }
  return { outcome, seconds: (performance.now() - startedAt) / 1_000, againMs }
}

function outcomeOf(error: unknown): ReconcileOutcome {
  return isKubeError(error, 'Conflict') ? 'conflict' : 'error'
}

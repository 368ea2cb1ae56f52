/** The runtime's metrics. Label values come from closed sets: kinds, verbs, HTTP statuses. */
import type { Metrics } from '@wmoc/platform/metrics'

export type RuntimeMetrics = ReturnType<typeof createRuntimeMetrics>

/** How a reconciliation ended. `conflict`: something else wrote the object meanwhile, it is tried again. */
export type ReconcileOutcome = 'success' | 'error' | 'conflict' | 'timeout' | 'aborted'

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function createRuntimeMetrics(metrics: Metrics) {
  const gauge = <L extends string>(name: string, help: string, labels: readonly L[]) =>
    metrics.gauge(name, help, labels)
  return {
    reconciles: metrics.counter('wmoc_operator_reconcile_total', 'Reconciliations by kind and result.', [
      'kind',
      'result',
    ]),
    duration: metrics.histogram('wmoc_operator_reconcile_duration_seconds', 'Time of one reconciliation.', {
      labelNames: ['kind'],
      buckets: SECONDS,
    }),
    requests: metrics.counter(
      'wmoc_operator_api_requests_total',
      'Requests to the API server by verb and HTTP status; error: no answer.',
      ['verb', 'code'],
    ),
    lists: metrics.counter(
      'wmoc_operator_informer_lists_total',
      'Complete lists by kind; more than a few tell that watches do not last.',
      ['kind'],
    ),
    objects: gauge('wmoc_operator_informer_objects', 'Objects in the local copy by kind.', ['kind']),
    depth: gauge('wmoc_operator_queue_depth', 'Objects that wait for their turn by kind.', ['kind']),
    failing: gauge('wmoc_operator_failing_objects', 'Objects whose last reconciliation failed, by kind.', [
      'kind',
    ]),
    conditions: gauge(
      'wmoc_operator_object_conditions',
      'Objects by kind, condition, status and documented reason; by name where a kind has few of them.',
      ['kind', 'type', 'status', 'reason', 'object_namespace', 'object'],
    ),
    leader: metrics.gauge('wmoc_operator_leader', 'Whether this process holds the lease.'),
  }
}

/**
 * Puts the operator together. Order of start: listener, informers, campaign; of stop: the reverse, so that the lease is
 * given back before anything else ends.
 */
import { hostname } from 'node:os'
import { createAdminServer } from '@wmoc/platform/admin-server'
import { createLifecycle } from '@wmoc/platform/lifecycle'
import type { Lifecycle } from '@wmoc/platform/lifecycle'
import type { Logger } from '@wmoc/platform/log'
import { createMetrics } from '@wmoc/platform/metrics'
import type { OperatorConfig } from './config.ts'
import { KINDS } from './kinds.ts'
import { createEventRecorder } from './runtime/events.ts'
import { createKubeClient } from './runtime/http-client.ts'
import type { Kind } from './runtime/kind.ts'
import type { ClusterAccess } from './runtime/kubeconfig.ts'
import { createLeaderElection } from './runtime/leader.ts'
import { createManager } from './runtime/manager.ts'
import { createRuntimeMetrics } from './runtime/metrics.ts'

export interface Operator {
  readonly lifecycle: Lifecycle
  /** Of the operators' listener; 0 before the start. */
  readonly adminPort: number
  isLeader(): boolean
}

/** @param kinds All of them, unless a test brings its own. */
export function composeOperator(
  settings: OperatorConfig,
  access: ClusterAccess,
  log: Logger,
  kinds: readonly Kind[] = KINDS,
): Operator {
  const metrics = createMetrics('operator')
  const runtimeMetrics = createRuntimeMetrics(metrics)
  const instance = settings.POD_NAME ?? hostname()
  const client = createKubeClient({
    access,
    requestsPerSecond: settings.API_REQUESTS_PER_SECOND,
    timeoutMs: settings.API_TIMEOUT_MS,
    onRequest: (verb, code) => runtimeMetrics.requests.inc({ verb, code }),
    userAgent: 'wmoc-operator',
  })
  // A pace of its own: a queue of work must never make the leader late.
  const leaseClient = createKubeClient({
    access,
    timeoutMs: settings.LEASE_RENEW_MS * 2,
    onRequest: (verb, code) => runtimeMetrics.requests.inc({ verb, code }),
    userAgent: 'wmoc-operator/leader-election',
  })
  const election = createLeaderElection({
    client: leaseClient,
    lease: { namespace: settings.POD_NAMESPACE, name: settings.LEASE_NAME },
    identity: instance,
    durationMs: settings.LEASE_DURATION_MS,
    renewMs: settings.LEASE_RENEW_MS,
    log,
  })
  const isLeader = settings.LEADER_ELECTION ? election.isLeader : () => true
  const events = createEventRecorder({ client, controller: 'wmoc.online/operator', instance, log })
  const manager = createManager({
    client,
    controllers: kinds.map((kind) => kind.createController({ config: settings, log, metrics })),
    namespaces: settings.WATCH_NAMESPACES,
    events,
    metrics: runtimeMetrics,
    log,
    isLeader,
  })
  const admin = createAdminServer({
    host: settings.ADMIN_HOST,
    port: settings.ADMIN_PORT,
    metrics,
    checks: {
      informers: () =>
        manager.isSynced() ? Promise.resolve() : Promise.reject(new Error('not everything is listed yet')),
    },
  })

  const lifecycle = createLifecycle(log)
  lifecycle.add('admin listener', admin)
  lifecycle.add('client', { stop: () => client.close() })
  lifecycle.add('lease client', { stop: () => leaseClient.close() })
  lifecycle.add('events', { stop: () => events.flush() })
  lifecycle.add('informers', { start: () => manager.start(), stop: () => manager.stop() })
  lifecycle.add('controllers', workWhile(manager.lead, settings.LEADER_ELECTION ? election : null, log))
  return {
    lifecycle,
    isLeader,
    get adminPort() {
      return admin.port
    },
  }
}

/** Leads when elected, or at once where there is no election. */
function workWhile(
  lead: (signal: AbortSignal) => Promise<void>,
  election: { start(work: typeof lead): void; stop(): Promise<void> } | null,
  log: Logger,
) {
  if (election !== null) return { start: () => election.start(lead), stop: () => election.stop() }
  const stopping = new AbortController()
  let work: Promise<void> = Promise.resolve()
  return {
    start() {
      log.warn('cluster', 'no leader election: a second operator would do everything twice')
      work = lead(stopping.signal)
    },
    async stop() {
      stopping.abort()
      await work
    },
  }
}

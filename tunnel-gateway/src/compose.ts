/** Puts the gateway together from its configuration. The one place where parts meet. */
import { createAdminServer } from '@wmoc/platform/admin-server'
import { createLifecycle } from '@wmoc/platform/lifecycle'
import type { Lifecycle } from '@wmoc/platform/lifecycle'
import type { Logger } from '@wmoc/platform/log'
import { randomToken } from '@wmoc/platform/ids'
import { createMetrics } from '@wmoc/platform/metrics'
import type { Tracing } from '@wmoc/platform/tracing'
import { openStore } from '@wmoc/platform/open-store'
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { createDependencies } from './admin/dependencies.ts'
import { createOperations } from './admin/operations.ts'
import { createStatus } from './admin/status.ts'
import { createTotals } from './admin/totals.ts'
import type { Membership } from './cluster/members.ts'
import { createMembership } from './cluster/membership.ts'
import { createClusterMetrics } from './cluster/metrics.ts'
import { createPauseGuard } from './cluster/pause-guard.ts'
import { createRebalancer } from './cluster/rebalance.ts'
import type { GatewayConfig } from './config.ts'
import { createControlPlane } from './control-plane/client.ts'
import { createCommandTaker } from './control-plane/commands.ts'
import { createDirectory } from './control-plane/directory.ts'
import { subscribeNotices } from './control-plane/notices.ts'
import { createUpkeep } from './control-plane/upkeep.ts'
import { admissionRules, perSecond, streamRules } from './config-rules.ts'
import { createAdmission } from './core/admission.ts'
import { createFlapDetector } from './core/flapping.ts'
import { createHub } from './core/hub.ts'
import { createAdmit } from './device/admit.ts'
import { createClaims } from './device/claims.ts'
import { createConnections } from './device/connections.ts'
import type { Connections } from './device/connections.ts'
import { createDisputes } from './device/disputes.ts'
import { createIngest } from './device/ingest.ts'
import { createTunnelListener } from './device/listener.ts'
import { createPresenceKeeper, LET_GO_MS } from './device/presence.ts'
import { createRegistrar } from './device/registrar.ts'
import { createReporter } from './device/reporter.ts'
import type { Tunnel } from './device/tunnel.ts'
import { connectionLimit } from './descriptors.ts'
import { createDrain } from './drain.ts'
import { createGatewayMetrics } from './gateway-metrics.ts'
import { createPeerMetrics } from './peer/metrics.ts'
import { createPeers } from './peer/peers.ts'
import type { Peers } from './peer/peers.ts'
import { createPressure } from './pressure.ts'
import { createQuietCollection } from './quiet-collection.ts'
import { createPublicServer } from './server.ts'
import manifest from '../package.json' with { type: 'json' }
import { unmaskByWords } from './unmask.ts'
import { composePeople } from './user/compose.ts'
import type { People } from './user/compose.ts'

export interface Gateway {
  readonly lifecycle: Lifecycle
  readonly port: number
  readonly adminPort: number
  readonly membership: Membership
  /** It has left the cluster and the store. */
  readonly isStopped: boolean
}

/** Share of all connections from which devices are sent elsewhere. */
const CROWDED = 0.9

/** A gateway that is not started yet. @param tracing Null: nobody asked for traces. */
export function composeGateway(config: GatewayConfig, log: Logger, tracing: Tracing | null = null): Gateway {
  unmaskByWords()
  const registry = createMetrics('gateway')
  const metrics = createGatewayMetrics(registry)
  const store = openStore({ url: config.REDIS_URL, log, name: `gateway ${config.SHARD_ID}` })
  const controlPlane = createControlPlane({
    url: config.CONTROL_PLANE_URL,
    token: config.INTERNAL_TOKEN,
    tracing,
  })
  const directory = createDirectory(controlPlane, config.ACCESS_FRESH_MS)
  const hub = createHub<Tunnel>(({ controllerId }) => peers.router.attached(controllerId))
  const admission = createAdmission(admissionRules(config))
  const registrar = createRegistrar({
    controlPlane,
    directory,
    credentialKey: config.DEVICE_CREDENTIAL_KEY,
    log,
  })
  const claims = createClaims(registrar, log)
  const instance = `${config.SHARD_ID}@${randomToken(6)}`
  const membership = createMembership({
    store,
    shard: config.SHARD_ID,
    instance,
    weight: config.RING_WEIGHT,
    peerAddress: () => peerAddress(config, peers.port),
    leaseTtlMs: config.LEASE_TTL_MS,
    leaseRenewMs: config.LEASE_RENEW_MS,
    isReached: (other) => peers.reaches(other),
    log,
  })
  const clusterMetrics = createClusterMetrics(registry, membership)
  const presence = createPresenceKeeper({
    store,
    instance,
    hub,
    isAlive: (other) => membership.find(other) !== undefined,
    tell: (other, controllerId, epoch) => peers.tellSuperseded(other, controllerId, epoch),
    log,
  })
  const guard = createPauseGuard({
    limitMs: LET_GO_MS * 0.75,
    confirmWithinMs: 5_000,
    confirm: () => presence.renewAll(),
    paused(ms) {
      clusterMetrics.pauses.inc()
      log.warn('cluster', 'this process stood still', { ms: Math.round(ms) })
    },
  })
  const peers: Peers = createPeers({
    host: config.PEER_HOST,
    port: config.PEER_PORT,
    internalToken: config.INTERNAL_TOKEN,
    instance,
    membership,
    tunnels: hub,
    store,
    metrics: createPeerMetrics(registry, clusterMetrics.misrouted),
    tracing,
    limits: { parkMs: config.PARK_MS, maxWaiting: config.PARK_MAX },
    whenSound: guard.whenSound,
    superseded(controllerId, epoch) {
      const tunnel = hub.get(controllerId)
      if (tunnel !== undefined && tunnel.epoch < epoch) tunnel.supersede()
    },
    log,
  })
  membership.onStoreLost(() => void presence.renewAll().catch(() => undefined))
  const ingest = createIngest({ controlPlane, metrics, log })
  const reporter = createReporter(controlPlane, log)
  const commands = createCommandTaker({
    controlPlane,
    log,
    isConnected: (controllerId) => hub.get(controllerId) !== undefined,
    deliver: (command) => hub.get(command.controllerId)?.command(command),
  })
  const drain = createDrain({
    hub,
    membership,
    connections: () => connections,
    inFlight: () => people.proxy.size() + peers.serving,
    endStreams() {
      people.proxy.leave()
      peers.endStreams()
    },
    evicted: () => clusterMetrics.evictions.inc(),
    settleMs: config.DRAIN_SETTLE_MS,
    windowMs: config.DRAIN_WINDOW_MS,
    deadlineMs: config.DRAIN_DEADLINE_MS,
    log,
  })
  const flaps = createFlapDetector()
  const disputes = createDisputes({ store, reporter, log })
  const admit = createAdmit({
    shard: config.SHARD_ID,
    hub,
    flaps,
    disputes,
    presence,
    reporter,
    commands,
    metrics,
    log,
    streamRules: streamRules(config),
    ended: (tunnel, reason) => connections.ended(tunnel, reason),
  })
  const connections: Connections = createConnections({
    hub,
    flaps,
    disputes,
    presence,
    admission,
    registrar,
    claims,
    ingest,
    reporter,
    metrics,
    log,
    admit,
    sessionRules: {
      registerTimeoutMs: config.REGISTER_TIMEOUT_MS,
      heartbeatMs: config.HEARTBEAT_MS,
      deadAfterMs: V1_LIMITS.deadAfterMs,
      messages: perSecond(config.DEVICE_MESSAGES_PER_SECOND, 10),
    },
    isDraining: drain.isClosed,
  })

  const quiet = createQuietCollection()
  const pressure = createPressure(config.SHED_AT_HEAP)
  const maxConnections = connectionLimit(
    config.MAX_TUNNELS + config.MAX_UNREGISTERED + config.MAX_USER_CONNECTIONS,
  )
  const crowd = createPressure(CROWDED, () => [{ used: server.connections, limit: maxConnections }])
  const rebalance = createRebalancer({
    hub,
    membership,
    isShort: pressure.isHigh,
    isDraining: drain.isDraining,
    moved: () => clusterMetrics.misrouted.inc({ kind: 'tunnel', action: 'moved' }),
    shed: () => clusterMetrics.shed.inc(),
    afterMs: config.REBALANCE_AFTER_MS,
    minAgeMs: config.REBALANCE_MIN_AGE_MS,
    perBeat: config.REBALANCE_PER_SECOND,
    log,
  })
  const people: People = composePeople({
    config,
    store,
    controlPlane,
    directory,
    router: peers.router,
    registry,
    metrics,
    tracing,
    log,
    isDraining: drain.isDraining,
    isShedding: pressure.isHigh,
    lastSeenAt: connections.lastSeenAt,
  })
  const devices = createTunnelListener({
    trustedHops: config.TRUSTED_HOPS,
    admission,
    metrics,
    tunnels: () => hub.size,
    isShedding: () => pressure.isHigh() || crowd.isHigh(),
    accept: connections.accept,
  })
  const server = createPublicServer({
    host: config.HOST,
    port: config.PORT,
    requestTimeoutMs: config.REQUEST_TIMEOUT_MS,
    maxConnections,
    isDraining: drain.isDraining,
    users: people.users,
    devices,
  })
  const upkeep = createUpkeep({
    directory,
    hub,
    proxy: people.proxy,
    claims,
    commands,
    reporter,
    sweepMs: config.ACCESS_SWEEP_MS,
    pageRevoked: people.frames.pageRevoked,
    isGoodPage: people.frames.isGoodPage,
    signInsChanged: people.parts.signInsChanged,
    accessChanged: people.parts.accessChanged,
    log,
  })
  const dependencies = createDependencies({ store: () => store.ping(), api: () => controlPlane.jwks() })
  const status = createStatus({
    version: manifest.version,
    totals: createTotals(metrics),
    dependencies,
    controlPlane,
    hub,
    connections,
    admission,
    claims,
    membership,
    drain,
    more: { status: peers.status, invariants: peers.invariants },
  })
  const admin = createAdminServer({
    host: config.ADMIN_HOST,
    port: config.ADMIN_PORT,
    metrics: registry,
    checks: { store: dependencies.check('store'), api: dependencies.check('api') },
    isReady: () => server.port > 0 && !drain.isDraining() && !pressure.isHigh() && !crowd.isHigh(),
    extra: createOperations({
      status,
      drain,
      hub,
      membership,
      presence: async (controllerId) => (await store.getPresence([controllerId]))[0] ?? null,
    }),
  })
  metrics.watch({
    tunnels() {
      const v2 = sum(hub, ({ dialect }) => (dialect === 'v2' ? 1 : 0))
      return { v1: hub.size - v2, v2 }
    },
    unregistered: admission.unregistered,
    inFlight: () => sum(hub, (tunnel) => tunnel.inFlight()),
    queued: () => sum(hub, (tunnel) => tunnel.queued()),
    isDraining: drain.isDraining,
    isUp: dependencies.isUp,
    outbox: (queue) => (queue === 'ingest' ? ingest.size : reporter.sizes()[queue]),
  })

  let ticking: NodeJS.Timeout | null = null
  let unsubscribe: (() => Promise<void>) | null = null
  const stop = new AbortController()

  /** The store may be away when the gateway starts; until it listens, the sweeps do the work. */
  async function listen(): Promise<void> {
    while (unsubscribe === null && !stop.signal.aborted) {
      try {
        unsubscribe = await subscribeNotices(store, upkeep.handlers, log)
      } catch (error) {
        log.warn('store', 'cannot listen to the API yet, will repeat', { error })
        await new Promise((resolve) => setTimeout(resolve, 2_000).unref())
      }
    }
  }

  // Stopped in reverse: first the tunnels are sent away while everything below still works, then what they said is
  // delivered, then the links to the API and the store are cut. Admin stays to the end, so that the drain can be watched.
  const lifecycle = createLifecycle(log)
  lifecycle.add('traces', { stop: () => tracing?.stop(), stopTimeoutMs: 3_000 })
  lifecycle.add('admin', { start: () => admin.start(), stop: () => admin.stop() })
  let isStopped = false
  lifecycle.add('store', {
    async stop() {
      await store.close()
      isStopped = true
    },
  })
  lifecycle.add('control plane', { stop: () => controlPlane.close() })
  lifecycle.add('outboxes', {
    async stop() {
      commands.stop()
      await Promise.all([ingest.stop(3_000), reporter.stop(3_000), people.parts.stop()])
    },
  })
  lifecycle.add('peer listener', { start: () => peers.listen() })
  lifecycle.add('cluster', { start: () => membership.start(), stop: () => membership.stop() })
  lifecycle.add('presence', { start: () => presence.start(), stop: () => presence.stop() })
  lifecycle.add('pause guard', { start: () => guard.start(), stop: () => guard.stop() })
  lifecycle.add('notices', {
    start() {
      upkeep.start()
      return Promise.race([listen(), new Promise<void>((resolve) => setTimeout(resolve, 1_000).unref())])
    },
    async stop() {
      stop.abort()
      upkeep.stop()
      await unsubscribe?.()
    },
  })
  lifecycle.add('heartbeat', {
    start() {
      ticking = setInterval(() => {
        pressure.sample()
        quiet.sample()
        server.sample()
        crowd.sample()
        connections.tick()
        claims.tick(Date.now())
        rebalance()
      }, 1_000)
    },
    stop() {
      if (ticking !== null) clearInterval(ticking)
    },
  })
  lifecycle.add('dependencies', { start: () => dependencies.start(), stop: () => dependencies.stop() })
  lifecycle.add('peers', { start: () => peers.start(), stop: () => peers.stop() })
  lifecycle.add('listener', { start: () => server.start(), stop: () => server.stop(), stopTimeoutMs: 3_000 })
  lifecycle.add('tunnels', {
    stop: () => drain.end(),
    stopTimeoutMs: config.DRAIN_SETTLE_MS + config.DRAIN_WINDOW_MS + config.DRAIN_DEADLINE_MS + 5_000,
  })

  return {
    lifecycle,
    get port() {
      return server.port
    },
    get adminPort() {
      return admin.port
    },
    membership,
    get isStopped() {
      return isStopped
    },
  }
}

/** @param bound The port that the listener got. */
function peerAddress({ PEER_ADVERTISE, PEER_HOST }: GatewayConfig, bound: number): string {
  if (PEER_ADVERTISE === undefined) return `${PEER_HOST}:${bound}`
  return /(?:^|[^:]):\d+$|\]:\d+$/.test(PEER_ADVERTISE) ? PEER_ADVERTISE : `${PEER_ADVERTISE}:${bound}`
}

function sum(hub: { all(): Iterable<Tunnel> }, read: (tunnel: Tunnel) => number): number {
  let total = 0
  for (const tunnel of hub.all()) total += read(tunnel)
  return total
}

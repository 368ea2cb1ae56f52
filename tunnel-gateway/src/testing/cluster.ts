/** Several real gateways in this process, on one real Redis and one control plane in memory. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { createLogger } from '@wmoc/platform/log'
import type { Logger } from '@wmoc/platform/log'
import { testRedis } from '@wmoc/testkit/redis'
import { startControlPlane } from './control-plane-server.ts'
import { startHarness, until } from './harness.ts'
import type { Harness, Surroundings } from './harness.ts'

export interface Cluster extends Surroundings {
  /** By the order of their start; `gateway-0`, `gateway-1` … */
  readonly shards: readonly Harness[]
  /** Starts one more, or a replacement of that name, and waits until all know it. */
  add(shard?: string, environment?: Record<string, string>): Promise<Harness>
  /** The shard to which a controller belongs on the ring of all. */
  ownerOf(controllerId: string): Harness
  /** A controller that belongs to this shard. */
  controllerOf(shard: Harness): ReturnType<Surroundings['controlPlane']['addController']>
  /** Waits until every running shard's ring has exactly these shards. */
  settled(names: readonly string[]): Promise<void>
  stop(): Promise<void>
}

/**
 * @param count Shards at first.
 * @param environment Of every shard. Leases are short, so that a shard is missed soon.
 */
export async function startCluster(
  count: number,
  environment: Record<string, string> = {},
  options: { log?: Logger; redis?: Surroundings['redis'] } = {},
): Promise<Cluster> {
  const log = options.log ?? createLogger({ process: 'gateway', level: 'silent' })
  const redis = options.redis ?? (await testRedis())
  const controlPlane = await startControlPlane()
  const shards: Harness[] = []

  async function start(shard: string, more: Record<string, string>): Promise<Harness> {
    const settings = {
      LEASE_TTL_MS: '2000',
      LEASE_RENEW_MS: '200',
      DRAIN_SETTLE_MS: '300',
      ...environment,
      ...more,
      SHARD_ID: shard,
    }
    const harness = await startHarness(settings, log, { redis, controlPlane })
    shards.push(harness)
    return harness
  }

  const running = () => shards.filter(({ gateway }) => !gateway.isStopped)

  async function settled(names: readonly string[]): Promise<void> {
    const wanted = names.toSorted().join()
    await until(
      () => running().every(({ gateway }) => gateway.membership.ring().shards.join() === wanted),
      20_000,
    )
  }

  const cluster: Cluster = {
    redis,
    controlPlane,
    shards,
    settled,
    async add(shard = `gateway-${shards.length}`, more = {}) {
      const started = await start(shard, more)
      await until(
        () =>
          running().every(
            ({ gateway }) => gateway.membership.find(started.gateway.membership.self.instance) !== undefined,
          ),
        20_000,
      )
      return started
    },
    ownerOf(controllerId) {
      const owner = running()[0]!.gateway.membership.ring().ownerOf(controllerId)
      return running().find(({ gateway }) => gateway.membership.self.shard === owner)!
    },
    controllerOf(shard) {
      for (;;) {
        const known = controlPlane.addController()
        if (cluster.ownerOf(known.record.controllerId) === shard) return known
      }
    },
    async stop() {
      for (const harness of running()) await harness.stop()
      await controlPlane.stop()
      if (options.redis === undefined) await redis.stop()
    },
  }
  for (let at = 0; at < count; at++) await start(`gateway-${at}`, {})
  await settled(shards.map(({ gateway }) => gateway.membership.self.shard))
  return cluster
}

/** One command to the test's Redis, words split by spaces; answers the first bytes of the reply. */
export async function redisCommand(port: number, command: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.write(`${command}\r\n`)
  const [reply] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  return reply.toString()
}

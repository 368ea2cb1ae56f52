/**
 * Pods that are real gateways in this process: the fake kubelet asks here whether a pod is ready, and the pod's admin port
 * is the gateway's. Their devices and people behave as those of a fleet: a device that is sent away goes where it is told.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { createLogger } from '@wmoc/platform/log'
import { testRedis } from '@wmoc/testkit/redis'
import type { FakePod, PodState } from '@wmoc/testkit/kube/fake-kubelet'
import { startControlPlane } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import type { KnownController } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import { startHarness } from '@wmoc/tunnel-gateway/testing/harness'
import type { Harness } from '@wmoc/tunnel-gateway/testing/harness'
import type { RawDevice } from '@wmoc/tunnel-gateway/testing/raw-device'
import type { Stored } from '#src/runtime/objects.ts'

interface RealShard {
  readonly name: string
  readonly started: Promise<Harness>
  harness: Harness | null
  isReady: boolean
  readonly startedAt: number
}

const quiet = createLogger({ process: 'gateway', level: 'silent' })
/** Images whose name says so never start, or lose the API once they are ready. */
const BROKEN = /broken/
const DEAF = /deaf/

/** An API that answers only the question by which a gateway gets ready. */
async function startDeafApi() {
  let isAsked = false
  const server = createServer((_request, response) => {
    response.writeHead(isAsked ? 503 : 200, { 'content-type': 'application/json' })
    response.end('{"keys":[]}')
    isAsked = true
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

export async function startRealShards() {
  const redis = await testRedis()
  const controlPlane = await startControlPlane()
  const deafApi = await startDeafApi()
  const shards = new Map<string, RealShard>()
  const ending = new Set<Promise<unknown>>()
  const person = await controlPlane.addPerson()
  const devices = new Map<string, RawDevice>()
  const wasReady = new Set<string>()
  let asking: Promise<void>[] = []
  const life = { isOver: false }

  function start(name: string, isDeaf: boolean): RealShard {
    const environment = {
      SHARD_ID: name,
      // The whole cluster shares this process: it stands still for a while when the machine is busy.
      LEASE_TTL_MS: '20000',
      LEASE_RENEW_MS: '200',
      DRAIN_SETTLE_MS: '300',
      DRAIN_DEADLINE_MS: '5000',
      PARK_MS: '20000',
      ...(isDeaf ? { CONTROL_PLANE_URL: deafApi.url } : {}),
    }
    const started = startHarness(environment, quiet, { redis, controlPlane })
    const shard: RealShard = { name, started, harness: null, isReady: false, startedAt: performance.now() }
    void started.then((harness) => (shard.harness = harness))
    return shard
  }

  /** What a kubelet would report. */
  function behave({ metadata, spec }: FakePod): PodState {
    if (BROKEN.test(spec.containers[0]!.image)) return { isReady: false, waiting: 'ImagePullBackOff' }
    let shard = shards.get(metadata.uid)
    if (shard === undefined) {
      shard = start(metadata.name, DEAF.test(spec.containers[0]!.image))
      shards.set(metadata.uid, shard)
    }
    return { isReady: shard.isReady }
  }

  async function probe(): Promise<void> {
    for (const shard of shards.values()) {
      if (shard.harness === null) continue
      const address = `http://127.0.0.1:${shard.harness.gateway.adminPort}/readyz`
      const asked = await fetch(address, { headers: { connection: 'close' } }).catch(() => null)
      // No answer says nothing about a shard in a process that stood still.
      if (asked !== null) shard.isReady = asked.status === 200
    }
  }

  /** The processes of pods that are gone end. @param listedAt when these were all there are */
  function keepOnly(uids: ReadonlySet<string>, listedAt: number): void {
    for (const [uid, shard] of shards) {
      if (uids.has(uid) || shard.startedAt > listedAt) continue
      shards.delete(uid)
      const ended: Promise<unknown> = shard.started
        .then(({ gateway }) => gateway.lifecycle.stop())
        .finally(() => ending.delete(ended))
      ending.add(ended)
    }
  }

  const ready = () => [...shards.values()].filter(({ isReady }) => isReady)
  const anyShard = (at: number) => ready()[at % Math.max(1, ready().length)]?.harness ?? null
  const named = (name: string | undefined) => ready().find((shard) => shard.name === name)?.harness ?? null

  async function connect(known: KnownController, hint?: string): Promise<void> {
    const { controllerId } = known.record
    for (let tries = 0; !life.isOver; tries++) {
      const shard = (tries === 0 ? named(hint) : null) ?? anyShard(tries + devices.size)
      let device: RawDevice | null = null
      try {
        if (shard === null) throw new Error('no shard is ready')
        device = await shard.connect()
        device.serve(() => ({ body: controllerId }))
        let isReplaced = false
        const again = (to?: string) => {
          if (isReplaced) return
          isReplaced = true
          void connect(known, to)
        }
        device.socket.on('message', (data: Buffer) => {
          const message = JSON.parse(data.toString()) as { type: string; shard?: string }
          if (message.type === 'goaway') again(message.shard)
        })
        device.send({
          type: 'register',
          credentials: { controller_id: controllerId, secret: known.secret, features: ['overlap', 'follow'] },
        })
        await device.next('registered', 30_000)
        void device.closed.then(() => again())
        devices.set(controllerId, device)
        return
      } catch {
        device?.stop()
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
  }

  const probing = setInterval(() => void probe(), 100)
  probing.unref()

  return {
    behave,
    keepOnly,
    addressOf(pod: Stored<Pod>): string | null {
      const harness = shards.get(pod.metadata.uid)?.harness ?? null
      return harness === null ? null : `http://127.0.0.1:${harness.gateway.adminPort}`
    },
    /** Shards that were ready once, and are not at present. */
    away: () => [...wasReady].filter((name) => named(name) === null).length,
    /** From now on those that are ready are counted. */
    expectReady: () => {
      wasReady.clear()
      for (const { name } of ready()) wasReady.add(name)
    },
    tunnels: async () => {
      let sum = 0
      for (const { harness } of shards.values()) {
        if (harness !== null) sum += Number((await harness.status())['tunnels'])
      }
      return sum
    },
    /** Devices that stay connected, and as many people who ask each of them all the time, at any ready shard. */
    async startFleet(count: number) {
      const fleet = Array.from({ length: count }, () => controlPlane.addController())
      for (const known of fleet) {
        controlPlane.grant(person, known.record.controllerId)
        await connect(known)
      }
      const failed: string[] = []
      let answered = 0
      asking = fleet.slice(0, 4).map(async (_known, first) => {
        for (let at = first; !life.isOver; at += 3) {
          const { controllerId } = fleet[at % count]!.record
          const shard = anyShard(at)
          if (shard === null) failed.push('no shard is ready')
          else {
            const answer = await shard.api(person, controllerId).catch((error: unknown) => ({
              status: 0,
              text: String(error),
            }))
            if (answer.status === 200 && answer.text === controllerId) answered += 1
            else if (answer.status !== 429) failed.push(`${answer.status} ${answer.text}`)
          }
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      })
      return { failed, answered: () => answered }
    },
    /** Devices and people go home. */
    async stopFleet() {
      life.isOver = true
      for (const device of devices.values()) device.stop()
      await Promise.all(asking)
    },
    async stop() {
      life.isOver = true
      clearInterval(probing)
      for (const device of devices.values()) device.stop()
      await Promise.all(
        [...shards.values()].map(async ({ started }) => (await started).gateway.lifecycle.stop()),
      )
      await Promise.all(ending)
      deafApi.stop()
      await controlPlane.stop()
      await redis.stop()
    },
  }
}

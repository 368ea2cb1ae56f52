/** Shards whose links a test can cut, devices on one of them, and users that come to another. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { freePort } from '@wmoc/testkit/free-port'
import { startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import type { Person } from '#src/testing/control-plane-server.ts'
import { PORTAL_HOST, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

/** A TCP connection between shards that can be cut. */
export interface Cable {
  readonly port: number
  cut(): void
  stop(): void
}

export async function startCable(target: number): Promise<Cable> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1')
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => undefined)
      one.on('close', () => {
        sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    stop() {
      server.close()
      cut()
    },
  }
}

export interface Hops {
  readonly cluster: Cluster
  readonly person: Person
  /** The shard that devices of a test belong to, reached through `cable`, and one where users arrive. */
  readonly owner: Harness
  readonly other: Harness
  readonly cable: Cable
  /** A controller that belongs to this shard, open to `person`. */
  controllerOf(shard: Harness): ReturnType<Cluster['controllerOf']>
  /** Waits until every running shard is linked to all others. */
  linked(): Promise<void>
  /** Opens a request of `person`; resolves with the head of the answer. */
  begin(shard: Harness, controllerId: string, given?: Given): Promise<IncomingMessage>
  stop(): Promise<void>
}

export interface Given {
  readonly path?: string
  readonly method?: string
  readonly headers?: OutgoingHttpHeaders
  readonly body?: Uint8Array
}

export async function startHops(environment: Record<string, string> = {}): Promise<Hops> {
  const cluster = await startCluster(1, environment)
  const peerPort = await freePort()
  const cable = await startCable(peerPort)
  const other = cluster.shards[0]!
  const owner = await cluster.add('gateway-1', {
    PEER_PORT: String(peerPort),
    PEER_ADVERTISE: `127.0.0.1:${cable.port}`,
  })
  const person = await cluster.controlPlane.addPerson()
  const hops: Hops = {
    cluster,
    person,
    owner,
    other,
    cable,
    controllerOf(shard) {
      const known = cluster.controllerOf(shard)
      cluster.controlPlane.grant(person, known.record.controllerId)
      return known
    },
    async linked() {
      await until(async () => {
        const running = cluster.shards.filter(({ gateway }) => !gateway.isStopped)
        for (const shard of running) {
          const { peers } = (await shard.status()) as { peers: { isUp: boolean }[] }
          if (peers.filter(({ isUp }) => isUp).length < running.length - 1) return false
        }
        return true
      })
    },
    async begin(shard, controllerId, { path = '/', method = 'GET', headers = {}, body } = {}) {
      const request = httpRequest({
        host: '127.0.0.1',
        port: shard.port,
        path: `/c/${controllerId}${path}`,
        method,
        headers: { host: PORTAL_HOST, authorization: `Bearer ${person.accessToken}`, ...headers },
        agent: false,
      })
      request.on('error', () => undefined)
      request.end(body)
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      response.on('error', () => undefined)
      return response
    },
    async stop() {
      await cluster.stop()
      cable.stop()
    },
  }
  await hops.linked()
  return hops
}

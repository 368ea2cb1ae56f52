/** Controllers that move from shard to shard, between real gateways, while people use them. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo, type Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import type { Person } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import { startCluster, type Cluster } from '@wmoc/tunnel-gateway/testing/cluster'
import { until } from '@wmoc/tunnel-gateway/testing/harness'
import type { SimulatorEvents, SimulatorOptions } from './simulator.ts'
import { createMemoryStore } from './device/store.ts'
import { contentAt } from './page/content.ts'
import { createSimulator, type Simulator } from './simulator.ts'

let cluster: Cluster
let person: Person
let front: Front
const running: Simulator[] = []
before(async () => {
  cluster = await startCluster(3, { DRAIN_WINDOW_MS: '500' })
  person = await cluster.controlPlane.addPerson()
  front = await startFront()
})
after(async () => {
  await Promise.all(running.map((simulator) => simulator.stop()))
  front.stop()
  await cluster.stop()
})

interface Front {
  readonly url: string
  /** Addresses asked for, as they came. */
  readonly asked: readonly string[]
  /** Cuts every connection, as a network does that forgets them. */
  cut(): void
  stop(): void
}

/** Stands before the shards: an address that names one goes there, others to the next in turn. */
async function startFront(): Promise<Front> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  let turn = 0
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (head) => {
      const path = head.toString('latin1').split(' ')[1] ?? ''
      asked.push(path)
      const named = new URL(path, 'http://x').searchParams.get('shard')
      const shards = cluster.shards.filter(({ gateway }) => !gateway.isStopped)
      const shard = shards.find(({ gateway }) => gateway.membership.self.shard === named)
      const upstream = net.connect((shard ?? shards[turn++ % shards.length])?.port ?? 0, '127.0.0.1')
      for (const end of [socket, upstream]) {
        sockets.add(end)
        end.once('close', () => sockets.delete(end))
      }
      upstream.on('error', () => socket.destroy())
      upstream.once('close', () => socket.destroy())
      socket.once('close', () => upstream.destroy())
      upstream.write(head)
      socket.pipe(upstream).pipe(socket)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/tunnel`,
    asked,
    cut() {
      for (const socket of sockets) socket.destroy()
    },
    stop() {
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
}

async function online(options: Partial<SimulatorOptions>) {
  const { record, secret } = cluster.controlPlane.addController()
  const { controllerId } = record
  cluster.controlPlane.grant(person, controllerId)
  const store = createMemoryStore({ current: { controller_id: controllerId, secret }, next: null })
  const simulator = createSimulator({ url: front.url, store, reportEveryMs: 0, ...options })
  running.push(simulator)
  simulator.start()
  await once(simulator.events, 'registered')
  const closed: SimulatorEvents['closed'][0][] = []
  simulator.events.on('closed', (event) => closed.push(event))
  return { simulator, controllerId, closed }
}

suite('controllers between shards', () => {
  test('go on with their downloads, uploads and commands when all connections are cut', async () => {
    const { controllerId, simulator } = await online({ protocol: 'v2', features: ['follow', 'resume'] })
    const shard = cluster.shards[0]!
    const download = shard.api(person, controllerId, { path: '/api/download?bytes=3000000' })
    const drip = shard.api(person, controllerId, { path: '/api/drip?bytes=50&ms=10' })
    await until(() => simulator.inFlight === 2)
    front.cut()
    const [again] = await once(simulator.events, 'registered')
    assert.ok(again.resumed)
    assert.match(front.asked.at(-1) ?? '', /\?shard=gateway-\d$/)
    assert.ok((await download).body.equals(Buffer.concat([...contentAt(0, 3_000_000)])))
    assert.deepEqual([(await drip).status, (await drip).body.length], [200, 50])
  })

  test('F7: lose no request when a shard is drained, and move once, to where they belong', async () => {
    const [leaving, ...staying] = cluster.shards
    assert.ok(leaving)
    const devices = await Promise.all([
      ...Array.from({ length: 6 }, () => online({ protocol: 'v2' })),
      ...Array.from({ length: 6 }, () => online({ protocol: 'v1' })),
      ...Array.from({ length: 3 }, () => online({ profile: 'esp32' })),
    ])
    const failed: string[] = []
    let answered = 0
    const state = { isOver: false }
    const users = devices.map(async ({ controllerId }, at) => {
      for (let count = at; !state.isOver; count += 1) {
        const shard = staying[count % staying.length]
        const path = count % 2 === 0 ? '/api/status' : '/api/drip?bytes=5&ms=2'
        const answer = await shard!.api(person, controllerId, { path })
        if (answer.status === 200 && !answer.isCut) answered += 1
        else failed.push(`${at} ${answer.status} ${answer.text.slice(0, 100)}`)
      }
    })
    const long = devices.map(({ controllerId }) =>
      staying[0]!.api(person, controllerId, { path: '/api/drip?bytes=100&ms=20' }),
    )
    await until(() => answered > 50)
    await leaving.gateway.lifecycle.stop()
    const enough = answered + 100
    await until(() => answered > enough, 20_000)
    state.isOver = true
    await Promise.all(users)
    assert.deepEqual(failed, [])
    for (const answer of await Promise.all(long)) {
      assert.deepEqual([answer.status, answer.body.length, answer.isCut], [200, 100, false])
    }
    for (const { simulator } of devices) assert.equal(simulator.isOnline, true)
    // Those that can hold two tunnels never had none.
    assert.ok(devices.slice(0, 12).every(({ closed }) => closed.length === 0))
  })
})

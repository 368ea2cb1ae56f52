/** A shard that stands still (SIGSTOP) while its controllers register elsewhere: what it holds is of the past when it wakes. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { createMemoryStore } from '@wmoc/device-sim/device/store'
import { createSimulator } from '@wmoc/device-sim/simulator'
import type { Simulator } from '@wmoc/device-sim/simulator'
import type { FleetDevice } from '../scripts/soak/fleet.ts'
import { openStage } from '../scripts/soak/stage.ts'
import type { Stage } from '../scripts/soak/stage.ts'
import { eventually } from './support/stack.ts'

const CONTROLLERS = 12

suite('a shard that stood still', () => {
  let stage: Stage
  let devices: FleetDevice[]
  const simulators: Simulator[] = []

  before(async () => {
    stage = await openStage({ shards: 2 })
    devices = await stage.provision(CONTROLLERS)
  })
  after(async () => {
    await Promise.all(simulators.map((simulator) => simulator.stop()))
    await stage?.stop()
  })

  /** The same controllers once more, connected to this shard; every answer is `words`. */
  async function connect(port: number, words: string) {
    const made = devices.map(({ controller_id, secret }, index) => {
      const simulator = createSimulator({
        url: `ws://127.0.0.1:${port}/tunnel`,
        protocol: index % 2 === 0 ? 'v1' : 'v2',
        store: createMemoryStore({ current: { controller_id, secret }, next: null }),
        handler: (_request, sink) =>
          Promise.resolve(sink.whole(200, { 'Content-Type': 'text/plain' }, Buffer.from(words))),
        reportEveryMs: 0,
      })
      const codes: number[] = []
      simulator.events.on('closed', ({ code }) => codes.push(code))
      simulator.start()
      simulators.push(simulator)
      return { simulator, codes }
    })
    await eventually(async () => made.every(({ simulator }) => simulator.isOnline), `${words} online`)
    return made
  }

  const ask = (port: number, id: string, method = 'GET') => stage.ask(port, id, '/x', method)

  test('F1: gives no answer of the epoch that it slept through, and sends its old sockets away', async () => {
    const paused = stage.stack.gateways()[0]!
    const awake = stage.stack.gateways()[1]!
    const old = await connect(paused.port, 'old')
    for (const { controller_id } of devices) assert.equal((await ask(paused.port, controller_id)).text, 'old')
    stage.stack.pause(paused.name)
    await connect(awake.port, 'new')
    // They are in its accept queue when it wakes: the first thing that it sees.
    const asked = devices.flatMap(({ controller_id }) =>
      ['GET', 'POST', 'GET'].map((method) => ask(paused.port, controller_id, method)),
    )
    await new Promise((resolve) => setTimeout(resolve, 500))
    stage.stack.resume(paused.name)
    for (const { status, text } of await Promise.all(asked)) {
      assert.notEqual(text, 'old')
      assert.ok(text === 'new' || status >= 500, `${status} ${text}`)
    }
    await eventually(async () => old.every(({ codes }) => codes.length > 0), 'the old sockets closed')
    for (const { codes } of old) assert.equal(codes[0], 4409)
    for (const { controller_id } of devices) {
      assert.equal((await ask(paused.port, controller_id)).text, 'new')
      assert.equal((await ask(awake.port, controller_id)).text, 'new')
    }
    assert.deepEqual(await stage.invariants(), [])
  })
})

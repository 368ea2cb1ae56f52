import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { StreamEvent } from '@wmoc/api/contracts/events'
import { createLiveStream, reconnectDelayMs, type LiveState, type Streamed } from './live-stream.ts'

const ID = '01900000-0000-7000-8000-000000000000'
const updated = (id: string): Streamed => ({ id, data: { type: 'controller.updated', controllerId: ID } })

/** Each connection plays its part of the script: events, then an end or an error. */
function createScene(script: (Streamed[] | 'refused' | 'open')[]) {
  const opened: (string | null)[] = []
  const events: StreamEvent[] = []
  const states: LiveState[] = []
  const delays: number[] = []
  const { promise: done, resolve: finish } = Promise.withResolvers<void>()
  const stream = createLiveStream({
    async *open(lastEventId, signal) {
      opened.push(lastEventId)
      const part = script.shift()
      if (part === 'refused') throw new Error('refused')
      if (part === undefined || part === 'open') {
        finish()
        await new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
      } else yield* part
    },
    onEvent: (event) => events.push(event),
    onState: (state) => states.push(state),
    sleep: async (ms) => void delays.push(ms),
    random: () => 1,
  })
  return { stream, opened, events, states, delays, done }
}

suite('live stream', () => {
  test('goes on after the last event it saw', async () => {
    const scene = createScene([[updated('1'), updated('2')], [updated('3')]])
    scene.stream.start()
    await scene.done
    scene.stream.stop()
    assert.deepEqual(scene.opened, [null, '2', '3'])
    assert.equal(scene.events.length, 3)
  })

  test('takes comments as a sign of life and nothing more', async () => {
    const scene = createScene([[{ id: null, data: null }], 'open'])
    scene.stream.start()
    await scene.done
    scene.stream.stop()
    assert.equal(scene.events.length, 0)
    assert.ok(scene.states.includes('open'))
    assert.equal(scene.opened[1], null)
  })

  test('waits longer after each failure and short again after a success', async () => {
    const scene = createScene(['refused', 'refused', 'refused', [updated('1')], 'refused', 'open'])
    scene.stream.start()
    await scene.done
    scene.stream.stop()
    assert.deepEqual(scene.delays, [500, 1_000, 2_000, 500, 1_000])
  })

  test('opens one connection however often it is started', async () => {
    const scene = createScene(['open'])
    scene.stream.start()
    scene.stream.start()
    await scene.done
    scene.stream.stop()
    assert.equal(scene.opened.length, 1)
  })

  test('hears nothing more once it is stopped', async () => {
    const scene = createScene(['open'])
    scene.stream.start()
    await scene.done
    scene.stream.stop()
    await new Promise((done) => setImmediate(done))
    assert.equal(scene.states.at(-1), 'closed')
    assert.equal(scene.opened.length, 1)
  })

  test('keeps its place over a restart and forgets it for another person', async () => {
    const scene = createScene([[updated('7')], 'open', 'open', 'open'])
    scene.stream.start()
    await scene.done
    scene.stream.restart()
    scene.stream.forget()
    scene.stream.start()
    scene.stream.stop()
    assert.deepEqual(scene.opened, [null, '7', '7', null])
  })
})

test('the delay is at least half of its ceiling and never more than 30 s', () => {
  assert.equal(reconnectDelayMs(0, 0), 250)
  assert.equal(reconnectDelayMs(3, 1), 4_000)
  assert.equal(reconnectDelayMs(50, 1), 30_000)
  assert.equal(reconnectDelayMs(50, 0), 15_000)
})

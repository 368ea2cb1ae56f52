import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Opened } from './contract.ts'
import { createLease, type LeaseState } from './lease.ts'

const REFUSED = new Error('refused')
const AWAY = new Error('away')
const MINUTE_MS = 60_000

/** One page with a clock of its own; each call plays the next part of its script. */
function createScene() {
  const world = {
    nowMs: 0,
    states: [] as LeaseState[],
    revoked: [] as string[],
    opened: 0,
    renewed: 0,
    timer: null as { task: () => void; delayMs: number } | null,
    opens: [] as (Error | Opened)[],
    renews: [] as Error[],
  }
  const frame = (): Opened => ({
    kind: 'frame',
    src: '/c/x/',
    capability: `cap-${world.opened}`,
    scope: 'use',
    expiresAt: world.nowMs + 15 * MINUTE_MS,
    renewAfterMs: 5 * MINUTE_MS,
  })
  const lease = createLease({
    async open() {
      world.opened++
      const next = world.opens.shift() ?? frame()
      if (next instanceof Error) throw next
      return next
    },
    async renew() {
      world.renewed++
      const next = world.renews.shift()
      if (next) throw next
      return { expiresAt: world.nowMs + 15 * MINUTE_MS, renewAfterMs: 5 * MINUTE_MS }
    },
    revoke: (capability) => world.revoked.push(capability),
    isRefusal: (error) => error === REFUSED,
    now: () => world.nowMs,
    schedule(task, delayMs) {
      const timer = { task, delayMs }
      world.timer = timer
      return () => {
        if (world.timer === timer) world.timer = null
      }
    },
    onState: (state) => world.states.push(state),
  })
  const settle = () => new Promise((done) => setImmediate(done))
  return {
    world,
    lease,
    settle,
    async pass() {
      const { timer } = world
      assert.ok(timer, 'nothing is scheduled')
      world.timer = null
      world.nowMs += timer.delayMs
      timer.task()
      await settle()
    },
    kinds: () => world.states.map(({ kind }) => kind),
  }
}

suite('the right to show a page', () => {
  test('is renewed for as long as the page is open, and the frame stays as it is', async () => {
    const scene = createScene()
    scene.lease.start()
    await scene.settle()
    for (let round = 0; round < 5; round++) await scene.pass()
    assert.deepEqual(scene.kinds(), ['opening', 'open'])
    assert.equal(scene.world.renewed, 5)
  })

  test('is renewed at once when the document wakes', async () => {
    const scene = createScene()
    scene.lease.start()
    await scene.settle()
    scene.world.nowMs += 8 * 60 * MINUTE_MS
    scene.world.renews.push(REFUSED)
    scene.lease.wake()
    await scene.settle()
    assert.equal(scene.world.renewed, 1)
    assert.deepEqual(scene.kinds(), ['opening', 'open', 'open'])
    assert.equal(scene.world.opened, 2)
  })

  test('outlives a moment in which nobody answers', async () => {
    const scene = createScene()
    scene.lease.start()
    await scene.settle()
    scene.world.renews.push(AWAY, AWAY)
    for (let round = 0; round < 3; round++) await scene.pass()
    assert.deepEqual(scene.kinds(), ['opening', 'open'])
    assert.equal(scene.world.renewed, 3)
  })

  test('fails when a new one is refused too, and stays so', async () => {
    const scene = createScene()
    scene.lease.start()
    await scene.settle()
    scene.world.renews.push(REFUSED)
    scene.world.opens.push(REFUSED)
    await scene.pass()
    assert.deepEqual(scene.kinds(), ['opening', 'open', 'failed'])
    assert.equal(scene.world.timer, null)
  })

  test('is asked for again by itself when only nobody answered', async () => {
    const scene = createScene()
    scene.world.opens.push(AWAY)
    scene.lease.start()
    await scene.settle()
    await scene.pass()
    assert.deepEqual(scene.kinds(), ['opening', 'failed', 'open'])
  })

  test('is given back on leaving, also when the answer comes after that', async () => {
    const scene = createScene()
    scene.lease.start()
    scene.lease.stop()
    await scene.settle()
    assert.deepEqual(scene.world.revoked, ['cap-1'])
    scene.lease.start()
    await scene.settle()
    scene.lease.stop()
    assert.deepEqual(scene.world.revoked, ['cap-1', 'cap-2'])
    assert.equal(scene.world.timer, null)
    assert.deepEqual(scene.kinds(), ['opening', 'opening', 'open'])
  })

  test('leads to the device’s own origin where it has one', async () => {
    const scene = createScene()
    scene.world.opens.push({ kind: 'own_origin', url: 'https://a.example/' })
    scene.lease.start()
    await scene.settle()
    assert.deepEqual(scene.kinds(), ['opening', 'own_origin'])
    assert.equal(scene.world.timer, null)
  })
})

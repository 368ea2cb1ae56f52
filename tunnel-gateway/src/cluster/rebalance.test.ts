import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import type { GoAway } from '@wmoc/protocol/messages'
import { createHub } from '#src/core/hub.ts'
import { createRing } from '#src/core/ring.ts'
import { startCluster } from '#src/testing/cluster.ts'
import type { Member } from './members.ts'
import { createRebalancer } from './rebalance.ts'
import type { MovableTunnel } from './rebalance.ts'

const FOLLOWS = { features: ['overlap', 'follow'] }
const log = createLogger({ process: 'test', level: 'silent' })

suite('rebalancing', () => {
  test('F12: an idle tunnel in the wrong place moves there without a gap, others stay', async () => {
    const cluster = await startCluster(2, { REBALANCE_AFTER_MS: '300', REBALANCE_MIN_AGE_MS: '0' })
    try {
      const [here, there] = [cluster.shards[0]!, cluster.shards[1]!]
      const stray = cluster.controllerOf(there)
      const person = await cluster.controlPlane.addPerson()
      cluster.controlPlane.grant(person, stray.record.controllerId)
      const atHome = await here.online(cluster.controllerOf(here), FOLLOWS)
      const plain = await here.online(cluster.controllerOf(there))
      const busyKnown = cluster.controllerOf(there)
      cluster.controlPlane.grant(person, busyKnown.record.controllerId)
      const busy = await here.online(busyKnown, FOLLOWS)
      const asked = here.api(person, busyKnown.record.controllerId)
      const request = await busy.next('http_request')

      const old = await here.online(stray, FOLLOWS)
      old.serve(() => ({ body: 'old' }))
      const goaway = await old.next('goaway')
      assert.equal(goaway.reason, 'rebalance')
      assert.equal(goaway.shard, 'gateway-1')
      // It still serves until its next tunnel is there.
      assert.equal((await here.api(person, stray.record.controllerId)).text, 'old')
      const next = await there.online(stray, FOLLOWS)
      next.serve(() => ({ body: 'new' }))
      assert.equal((await old.closed).code, 1012)
      assert.equal((await here.api(person, stray.record.controllerId)).text, 'new')

      busy.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'in peace' })
      assert.equal((await asked).text, 'in peace')
      assert.equal((await busy.next('goaway')).shard, 'gateway-1')
      assert.ok(!atHome.received.join().includes('goaway'))
      assert.ok(!plain.received.join().includes('goaway'))
      assert.match(await here.metrics(), /wmoc_gateway_misrouted_total\{kind="tunnel",action="moved"\} 2/)
    } finally {
      await cluster.stop()
    }
  })

  test('moves no more than its rate, nothing young, and nothing while the ring is fresh', () => {
    const world = rebalancing({ perBeat: 3 })
    for (let count = 0; count < 100; count++) world.add(Date.now() - 3_600_000)
    world.state.ringSince = performance.now()
    world.beat()
    assert.equal(world.told.length, 0)
    world.state.ringSince = -Infinity
    for (let count = 1; count <= 5; count++) {
      world.beat()
      assert.equal(world.told.length, 3 * count)
    }
    const young = rebalancing({ perBeat: 1_000 })
    for (let count = 0; count < 100; count++) young.add(Date.now())
    young.beat()
    assert.equal(young.told.length, 0)
    const draining = rebalancing({ perBeat: 1_000 })
    for (let count = 0; count < 100; count++) draining.add(Date.now() - 3_600_000)
    draining.state.isDraining = true
    draining.beat()
    assert.equal(draining.told.length, 0)
  })

  test('R6: while memory is short idle tunnels are sent elsewhere, few at a time; alone in the cluster none', () => {
    const world = rebalancing({ perBeat: 0 })
    for (let count = 0; count < 400; count++) world.add(Date.now(), count % 2 === 0)
    world.beat()
    assert.equal(world.told.length, 0)
    world.state.isShort = true
    world.beat()
    assert.equal(world.told.length, 2)
    for (let count = 0; count < 200; count++) world.beat()
    assert.equal(world.told.length, 200, 'idle ones only')
    assert.ok(world.told.every(({ reconnectAfterMs }) => reconnectAfterMs <= 10_000))
    const alone = rebalancing({ perBeat: 0, shards: 1 })
    alone.add(Date.now())
    alone.state.isShort = true
    alone.beat()
    assert.equal(alone.told.length, 0)
  })
})

/** A rebalancer of shard `s0` with tunnels that only note what they are told. */
function rebalancing({ perBeat, shards = 3 }: { perBeat: number; shards?: number }) {
  const state = { isShort: false, isDraining: false, ringSince: -Infinity }
  const told: GoAway[] = []
  const members = Array.from({ length: shards }, (_, at): Member => ({
    shard: `s${at}`,
    instance: `s${at}@x`,
    peerAddress: '127.0.0.1:1',
    weight: 1,
    state: 'serving',
  }))
  const ring = createRing(members, 1)
  const hub = createHub<MovableTunnel>()
  const beat = createRebalancer({
    hub,
    membership: {
      self: members[0]!,
      members: () => members,
      find: (name) => members.find((member) => member.shard === name),
      ring: () => ring,
      get ringSince() {
        return state.ringSince
      },
    },
    isShort: () => state.isShort,
    isDraining: () => state.isDraining,
    moved: () => undefined,
    shed: () => undefined,
    afterMs: 30_000,
    minAgeMs: 300_000,
    perBeat,
    log,
  })
  return {
    state,
    told,
    beat,
    add(epoch: number, isIdle = true) {
      const tunnel = {
        controllerId: `c${hub.size}`,
        epoch,
        isLeaving: false,
        isIdle,
        hasFeature: () => true,
        goAway(message: GoAway) {
          told.push(message)
          tunnel.isLeaving = true
        },
      }
      hub.attach(tunnel)
    },
  }
}

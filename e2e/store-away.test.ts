/** The shared store away, flushed, and replaced by an empty one, under three shards at work. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FleetDevice } from '../scripts/soak/fleet.ts'
import { startLoad } from '../scripts/soak/load.ts'
import { openFleetStage } from '../scripts/soak/fleet-stage.ts'
import type { FleetStage } from '../scripts/soak/fleet-stage.ts'
import type { RemoteFleet } from '../scripts/soak/remote-fleet.ts'
import type { Stage } from '../scripts/soak/stage.ts'

suite('the shared store', { timeout: 180_000 }, () => {
  let opened: FleetStage | undefined
  let stage: Stage
  let fleet: RemoteFleet

  before(async () => {
    opened = await openFleetStage({ shards: 3, devices: 30 })
    ;({ stage, fleet } = opened)
  })
  after(async () => {
    await opened?.stop()
  })

  /** Requests for these controllers through every shard, meanwhile. */
  async function under(devices: readonly FleetDevice[], work: () => Promise<void>): Promise<void> {
    const load = startLoad({
      ports: stage.stack.gateways().map(({ port }) => port),
      devices,
      token: stage.token,
      perSecond: 60,
    })
    await sleep(2_000)
    await work()
    const { failures, requests } = await load.stop()
    assert.deepEqual(failures, [])
    assert.ok(requests > 100)
    assert.deepEqual(await stage.invariants(), [])
  }
  const epochOf = async (id: string) => (await fleet.report()).find((device) => device.id === id)!.epoch

  test('F2: away, requests go on through every shard; a device that comes meanwhile is taken in once it is back', async () => {
    // It begins anew: one that resumes keeps its epoch.
    const absent = fleet.devices[2]!.controller_id
    const earlier = await epochOf(absent)
    const others = fleet.devices.filter((device) => device.controller_id !== absent)
    await under(others, async () => {
      await stage.store.stop()
      await sleep(2_000)
      await fleet.cut(absent)
      await sleep(4_000)
      await stage.store.start()
      await fleet.online(30_000)
    })
    // What came back was empty; the epoch still grows.
    assert.ok((await epochOf(absent)) > earlier)
  })

  test('F3: flushed, nobody notices, shards write it anew, and epochs go on growing', async () => {
    const id = fleet.devices[0]!.controller_id
    const earlier = await epochOf(id)
    await under(fleet.devices, async () => {
      await stage.store.flush()
      await sleep(2_000)
      await stage.store.flush()
      await sleep(1_000)
    })
    await fleet.cut(id)
    await sleep(200)
    await fleet.online(30_000)
    assert.ok((await epochOf(id)) > earlier)
  })
})

/** The shared store away, flushed, and replaced by an empty one, under three shards at work. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FleetDevice } from '../scripts/soak/fleet.ts'
import { startLoad } from '../scripts/soak/load.ts'
import { useFleetStage } from './support/fleet-stage.ts'
import { eventually } from './support/stack.ts'

suite('the shared store', () => {
  const on = useFleetStage({ shards: 3, devices: 30 })

  /** Requests for these controllers through every shard, meanwhile. */
  async function under(devices: readonly FleetDevice[], work: () => Promise<void>): Promise<void> {
    const load = startLoad({
      ports: on.stage.stack.gateways().map(({ port }) => port),
      devices,
      token: on.stage.token,
      perSecond: 60,
    })
    await sleep(2_000)
    await work()
    const { failures, requests } = await load.stop()
    assert.deepEqual(failures, [])
    assert.ok(requests > 100)
    assert.deepEqual(await on.stage.invariants(), [])
  }
  const epochOf = async (id: string) => (await on.fleet.report()).find((device) => device.id === id)!.epoch

  test('F2: away, requests go on through every shard; a device that comes meanwhile is taken in once it is back', async () => {
    // It begins anew: one that resumes keeps its epoch.
    const absent = on.fleet.devices[2]!.controller_id
    const earlier = await epochOf(absent)
    const others = on.fleet.devices.filter((device) => device.controller_id !== absent)
    await under(others, async () => {
      await on.stage.store.stop()
      await sleep(2_000)
      await on.fleet.cut(absent)
      await sleep(4_000)
      await on.stage.store.start()
      await on.fleet.online(120_000)
    })
    // What came back was empty; the epoch still grows.
    await eventually(async () => (await epochOf(absent)) > earlier, 'a higher epoch')
  })

  test('F3: flushed, nobody notices, shards write it anew, and epochs go on growing', async () => {
    const id = on.fleet.devices[0]!.controller_id
    const earlier = await epochOf(id)
    await under(on.fleet.devices, async () => {
      await on.stage.store.flush()
      await sleep(2_000)
      await on.stage.store.flush()
      await sleep(1_000)
    })
    await on.fleet.cut(id)
    await eventually(async () => (await epochOf(id)) > earlier, 'a higher epoch')
  })
})

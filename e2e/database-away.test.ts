/** PostgreSQL away: tunnels and what goes through them stay; who signs in is asked to come later. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from '../scripts/soak/load.ts'
import { openFleetStage } from '../scripts/soak/fleet-stage.ts'
import type { FleetStage } from '../scripts/soak/fleet-stage.ts'
import type { RemoteFleet } from '../scripts/soak/remote-fleet.ts'
import type { Stage } from '../scripts/soak/stage.ts'
import { eventually } from './support/stack.ts'

const AWAY_MS = 5_000

suite('PostgreSQL away', { timeout: 120_000 }, () => {
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

  const signIn = () =>
    fetch(`${stage.stack.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: stage.stack.url },
      body: JSON.stringify({ email: 'nobody@wmoc.example', password: 'wrong password of mine' }),
    })

  test('F4: requests go on, sign-in says 503 with Retry-After, and works again afterwards', async () => {
    const load = startLoad({
      ports: stage.stack.gateways().map(({ port }) => port),
      devices: fleet.devices,
      token: stage.token,
      perSecond: 60,
    })
    await sleep(2_000)
    await stage.postgres.stop()
    const refused = await signIn()
    assert.equal(refused.status, 503)
    assert.ok(refused.headers.get('retry-after'))
    await sleep(AWAY_MS)
    await stage.postgres.start()
    await eventually(async () => (await signIn()).status === 401, 'sign-in', 30_000)
    const { failures, requests } = await load.stop()
    assert.deepEqual(failures, [])
    assert.ok(requests > 300)
    assert.ok(
      (await fleet.report()).every(({ registrations }) => registrations === 1),
      'no tunnel was lost',
    )
  })
})

/** PostgreSQL away: tunnels and what goes through them stay; who signs in is asked to come later. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from '../scripts/soak/load.ts'
import { useFleetStage } from './support/fleet-stage.ts'
import { eventually } from './support/stack.ts'

const AWAY_MS = 5_000

suite('PostgreSQL away', () => {
  const on = useFleetStage({ shards: 3, devices: 30 })

  const signIn = () =>
    fetch(`${on.stage.stack.url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: on.stage.stack.url },
      body: JSON.stringify({ email: 'nobody@wmoc.example', password: 'wrong password of mine' }),
    })

  test('F4: requests go on, sign-in says 503 with Retry-After, and works again afterwards', async () => {
    const load = startLoad({
      ports: on.stage.stack.gateways().map(({ port }) => port),
      devices: on.fleet.devices,
      token: on.stage.token,
      perSecond: 60,
    })
    await sleep(2_000)
    await on.stage.postgres.stop()
    const refused = await signIn()
    assert.equal(refused.status, 503)
    assert.ok(refused.headers.get('retry-after'))
    await sleep(AWAY_MS)
    await on.stage.postgres.start()
    await eventually(async () => (await signIn()).status === 401, 'sign-in')
    const { failures, requests } = await load.stop()
    assert.deepEqual(failures, [])
    assert.ok(requests > 100)
    assert.ok(
      (await on.fleet.report()).every(({ registrations }) => registrations === 1),
      'no tunnel was lost',
    )
  })
})

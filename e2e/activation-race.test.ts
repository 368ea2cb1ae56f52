/** Who gets a controller: of two devices with one token exactly one, and nobody by a MAC. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { connectDevice } from '@wmoc/tunnel-gateway/testing/raw-device'
import type { RawDevice } from '@wmoc/tunnel-gateway/testing/raw-device'
import { forgetLimits, openDatabase } from './support/database.ts'
import type { Database } from './support/database.ts'
import { eventually, openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

const ROUNDS = 200
/** Rounds that run at the same time, as many as one bucket of the claim limit allows. */
const AT_ONCE = 20

/** How one of the racers ended. */
type End =
  | { mac: string; outcome: 'registered'; controllerId: string; secret: string }
  | { mac: string; outcome: 'refused'; closeCode: number }

const newMac = () => `02:${[...randomBytes(5)].map((byte) => byte.toString(16).padStart(2, '0')).join(':')}`

suite('one controller, several who want to be it', () => {
  let platform: TestStack
  let owner: Person
  let database: Database

  before(async () => {
    platform = await openStack()
    owner = await platform.signIn('owner@wmoc.example')
    database = await openDatabase(platform)
  })
  after(async () => {
    await database?.close()
    await platform?.stop()
  })

  async function newToken(name: string): Promise<{ token: string; id: string }> {
    const made = await owner.api.controllers.activate({ body: { name } })
    assert.equal(made.kind, 'token')
    if (made.kind !== 'token') throw new Error('asked for a token')
    return { token: made.token, id: made.controller.id }
  }

  /** The code it is closed with; being accepted instead is a failure at once. */
  async function closeCode(impostor: RawDevice): Promise<number> {
    const accepted = impostor.next('registered').then(() => assert.fail('the impostor was registered'))
    // The later of the two has nobody who waits for it.
    accepted.catch(() => undefined)
    return (await Promise.race([impostor.closed, accepted])).code
  }

  async function endOf(device: RawDevice, mac: string): Promise<End> {
    const registered = device.next('registered')
    registered.catch(() => undefined)
    const first = await Promise.race([registered, device.closed])
    if ('code' in first) return { mac, outcome: 'refused', closeCode: first.code }
    return {
      mac,
      outcome: 'registered',
      controllerId: first.controllerId,
      secret: first.credentials?.secret ?? '',
    }
  }

  /** Both sockets are open before either speaks; both then speak in one turn of the event loop. */
  async function race(token: string): Promise<End[]> {
    const macs = [newMac(), newMac()]
    const devices = await Promise.all(macs.map(() => connectDevice(platform.stack.port)))
    devices.forEach((device, index) =>
      device.send({ type: 'register', token, credentials: { mac: macs[index] } }),
    )
    const ends = await Promise.all(devices.map((device, index) => endOf(device, macs[index]!)))
    for (const device of devices) device.stop()
    return ends
  }

  test(`D3: of two devices with one token in the same millisecond exactly one wins, ${ROUNDS} times`, async () => {
    const winners = new Map<string, string>()
    const losers: string[] = []
    const secrets = new Set<string>()
    for (let round = 0; round < ROUNDS; round += AT_ONCE) {
      await forgetLimits(platform)
      const tokens = await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => newToken(`R${round + at}`)))
      await Promise.all(
        tokens.map(async ({ token, id }) => {
          const ends = await race(token)
          const [winner, ...others] = ends.filter((end) => end.outcome === 'registered')
          const [loser] = ends.filter((end) => end.outcome === 'refused')
          assert.ok(winner && loser && others.length === 0, JSON.stringify(ends))
          assert.equal(winner.controllerId, id)
          assert.equal(loser.closeCode, 4401)
          winners.set(winner.mac.toUpperCase(), id)
          losers.push(loser.mac.toUpperCase())
          secrets.add(winner.secret)
        }),
      )
    }
    assert.equal(winners.size, ROUNDS)
    assert.equal(secrets.size, ROUNDS)
    const rows = await database.rows<{ id: string; mac: string; token: string | null }>(
      `SELECT id, mac_address AS mac, activation_token AS token FROM controllers WHERE is_active`,
    )
    assert.deepEqual(new Map(rows.map(({ id, mac }) => [mac, id])), winners)
    assert.equal(rows.length, ROUNDS)
    assert.ok(rows.every(({ token }) => token === null))
    const strays = await database.rows('SELECT id FROM controllers WHERE mac_address = ANY($1)', [losers])
    assert.deepEqual(strays, [])
  })

  suite('the MAC of an active controller', () => {
    const mac = newMac().toUpperCase()
    let device: RawDevice
    let id: string
    let secret: string

    const countSessions = async () =>
      (await database.rows('SELECT id FROM controller_sessions WHERE controller_id = $1', [id])).length

    before(async () => {
      await forgetLimits(platform)
      const made = await newToken('Boiler')
      device = await connectDevice(platform.stack.port)
      device.send({ type: 'register', token: made.token, credentials: { mac } })
      const registered = await device.next('registered')
      device.serve(() => ({ body: 'the real one' }))
      id = registered.controllerId
      secret = registered.credentials!.secret
      await eventually(async () => (await countSessions()) === 1, 'the connection written down')
    })
    after(() => device?.stop())

    /** What it takes to be told from a stranger, with something missing or wrong. */
    const IMPOSTORS: readonly { what: string; credentials(): object }[] = [
      { what: 'with its id and no secret', credentials: () => ({ controller_id: id }) },
      { what: 'with its secret and no id', credentials: () => ({ secret }) },
      {
        what: 'with its id and a wrong secret',
        credentials: () => ({ controller_id: id, secret: randomBytes(32).toString('base64url') }),
      },
      {
        what: 'with its id and its secret cut by one character',
        credentials: () => ({ controller_id: id, secret: secret.slice(0, -1) }),
      },
      {
        what: 'with the id of nobody and its secret',
        credentials: () => ({ controller_id: '0190a000-0000-7000-8000-000000000001', secret }),
      },
    ]
    for (const { what, credentials } of IMPOSTORS) {
      test(`D1: ${what} is refused like any stranger`, async () => {
        const impostor = await connectDevice(platform.stack.port)
        impostor.send({ type: 'register', credentials: { mac, ...credentials() } })
        assert.equal(await closeCode(impostor), 4401)
        const said = impostor.received.join(' ')
        assert.ok(!said.includes(mac) && !said.includes(id), said)
      })
    }

    test('D1: alone opens a request to be claimed like any new device, and nothing else', async () => {
      const [impostor, newcomer] = await Promise.all([
        connectDevice(platform.stack.port),
        connectDevice(platform.stack.port),
      ])
      impostor.send({ type: 'register', credentials: { mac } })
      newcomer.send({ type: 'register', credentials: { mac: newMac() } })
      const [asked, expected] = await Promise.all([
        impostor.next('activation_required'),
        newcomer.next('activation_required'),
      ])
      assert.deepEqual(Object.keys(asked), Object.keys(expected))
      impostor.send({ type: 'metrics', seq: 1, items: [{ type: 'forged', value: 1 }] })
      assert.equal(await closeCode(impostor), 1008)
      assert.ok(!impostor.received.some((text) => /"registered"|"ack"|http_request/.test(text)))
      newcomer.stop()
    })

    test("D4: brought with a stranger's own token is refused, and the stranger gets nothing", async () => {
      const stranger = await platform.signIn('stranger@wmoc.example')
      const made = await stranger.api.controllers.activate({ body: { name: 'Mine now' } })
      assert.equal(made.kind, 'token')
      const impostor = await connectDevice(platform.stack.port)
      impostor.send({
        type: 'register',
        token: made.kind === 'token' ? made.token : '',
        credentials: { mac },
      })
      assert.equal(await closeCode(impostor), 4401)
      const { items } = await stranger.api.controllers.list({})
      assert.ok(items.every(({ status, macAddress }) => status === 'pending' && macAddress === null))
    })

    test('D1: after all of it the real one is connected still, has its page, and nothing was written to it', async () => {
      const page = await owner.fetch(`/c/${id}/`)
      assert.deepEqual([page.status, await page.text()], [200, 'the real one'])
      assert.equal(await countSessions(), 1)
      const forged = await database.rows(`SELECT id FROM metrics WHERE metric_type = 'forged'`)
      assert.deepEqual(forged, [])
    })
  })
})

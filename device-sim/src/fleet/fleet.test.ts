import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import { until } from '@wmoc/testkit/until'
import { SECRET, startServerSide, type Message, type Peer, type ServerSide } from '../testing/server-side.ts'
import { openCredentials } from './credentials-file.ts'
import { createFleet, type Fleet, type FleetOptions } from './fleet.ts'

const SIZE = 20
const folder = mkdtempSync(join(tmpdir(), 'wmoc fleet '))
let server: ServerSide
const peers: Peer[] = []
const fleets: Fleet[] = []
const registered: { token?: string; secret?: string }[] = []

before(async () => {
  server = await startServerSide()
  void serve()
})
after(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

afterEach(async () => {
  await Promise.all(fleets.splice(0).map((fleet) => fleet.stop()))
})

async function serve(): Promise<void> {
  const peer = await server.accept()
  peers.push(peer)
  const registers = ({ token, credentials }: Message<'register'>) => {
    registered.push({ token, secret: credentials?.secret })
    const number = String(registered.length).padStart(12, '0')
    peer.register(
      credentials?.secret
        ? undefined
        : { controller_id: `0198f6a0-7b1c-7d3e-9a44-${number}`, secret: SECRET },
    )
  }
  // One that is cut or stopped before that is none of the server's business.
  peer.next('register').then(registers, () => undefined)
  return serve()
}

function fleetOf(options: Partial<FleetOptions>) {
  const fleet = createFleet({
    url: server.url,
    size: SIZE,
    credentials: openCredentials(null),
    rampPerSec: 200,
    churnPerSec: 0,
    faults: [],
    reportEveryMs: 0,
    ...options,
  })
  fleets.push(fleet)
  return fleet
}

suite('a fleet', () => {
  test('connects everyone, counts them and closes cleanly', async () => {
    const fleet = fleetOf({})
    fleet.start()
    await until(() => fleet.counts().online === SIZE)
    assert.equal(fleet.devices.length, SIZE)
    await fleet.stop()
    assert.deepEqual([fleet.counts().stopped, fleet.counts().errors, fleet.counts().online], [SIZE, 0, 0])
  })

  test('keeps the credentials it was issued and offers them the next time', async () => {
    const path = join(folder, 'credentials.jsonl')
    writeFileSync(path, '{"token":"token-of-the-first"}\n')
    const first = fleetOf({ size: 3, credentials: openCredentials(path) })
    first.start()
    await until(() => first.counts().online === 3)
    await first.stop()
    assert.ok(registered.some(({ token }) => token === 'token-of-the-first'))
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const lines = readFileSync(path, 'utf8').trim().split('\n')
    assert.equal(lines.filter((line) => JSON.parse(line).secret === SECRET).length, 3)
    const from = registered.length
    const second = fleetOf({ size: 3, credentials: openCredentials(path) })
    second.start()
    await until(() => second.counts().online === 3)
    await second.stop()
    assert.deepEqual(
      registered.slice(from).map(({ token, secret }) => [token, secret]),
      Array.from({ length: 3 }, () => [undefined, SECRET]),
    )
  })

  test('says which line of the file is none', () => {
    const path = join(folder, 'broken.jsonl')
    writeFileSync(path, '{"token":"a"}\n\n{"secret":\n')
    assert.throws(() => openCredentials(path), /line 2 is no credential/)
  })

  test('comes back after each cut', async () => {
    const fleet = fleetOf({ size: 5, churnPerSec: 20 })
    fleet.start()
    await until(() => fleet.counts().reconnects >= 5)
    assert.ok((fleet.counts().closeCodes['1006'] ?? 0) >= 5)
    await fleet.stop()
  })

  test('bounds the rate of its connections and tells how long its controllers were away', async () => {
    const earlier = server.connections
    const fleet = fleetOf({ size: 10, rampPerSec: 10_000, connectsPerSec: 4 })
    fleet.start()
    await until(() => fleet.counts().started === 10)
    assert.ok(server.connections - earlier < 10)
    await until(() => fleet.counts().online === 10)
    fleet.devices[0]?.cut()
    await until(() => fleet.counts().reconnects === 1)
    const { losses, awayMs } = fleet.counts()
    assert.equal(losses, 1)
    assert.ok(awayMs.max > 0 && awayMs.p50 <= awayMs.max)
  })

  test('starts every controller twice when it is told to', async () => {
    const fleet = fleetOf({ size: 2, faults: ['duplicate'] })
    fleet.start()
    await until(() => fleet.counts().online === 4)
    await fleet.stop()
  })

  test('misbehaves when told to', async () => {
    const fleet = fleetOf({ size: 1, faults: ['wrong-frames'], reportEveryMs: 5 })
    fleet.start()
    await until(() => (peers.at(-1)?.refused.length ?? 0) > 0)
    await fleet.stop()
  })
})

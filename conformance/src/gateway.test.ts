import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { promisify } from 'node:util'
import { startCluster, type Cluster } from '@wmoc/tunnel-gateway/testing/cluster'
import type { KnownController, Person } from '@wmoc/tunnel-gateway/testing/control-plane-server'
import type { Harness } from '@wmoc/tunnel-gateway/testing/harness'
import type { Feature } from './case.ts'
import { judgeGateway, type GatewayTarget } from './target-gateway.ts'
import { ownOrigin } from './testing/own-origin.ts'
import { httpTransport } from './transports/http-transport.ts'

const V2: readonly Feature[] = ['page', 'v2', 'stream', 'websocket', 'trailers', 'backpressure']
const V1: readonly Feature[] = ['page', 'v1']

suite('two shards of the gateway', { concurrency: true }, () => {
  let cluster: Cluster
  let home: Harness
  before(async () => {
    cluster = await startCluster(2)
    home = cluster.shards[0]!
  })
  after(() => cluster.stop())

  /** A controller of the first shard and its owner. */
  async function owned(): Promise<{ known: KnownController; person: Person }> {
    const known = cluster.controllerOf(home)
    const person = await cluster.controlPlane.addPerson()
    cluster.controlPlane.grant(person, known.record.controllerId)
    return { known, person }
  }

  const targetOf = (
    dialect: 'v1' | 'v2',
    { known, person }: Awaited<ReturnType<typeof owned>>,
  ): GatewayTarget => ({
    url: `http://127.0.0.1:${home.port}`,
    dialect,
    credentials: { controller_id: known.record.controllerId, secret: known.secret },
    bearer: person.accessToken,
    only: [],
  })

  async function holds(judged: GatewayTarget, least: number): Promise<void> {
    const results = await judgeGateway(judged)
    const failed = results.filter(({ outcome }) => outcome === 'failed')
    const lines = failed.map(({ id, reason, expected, came }) => `${id}: ${reason} ${expected} ${came}`)
    assert.deepEqual(lines, [])
    const passed = results.filter(({ outcome }) => outcome === 'passed').length
    assert.ok(passed >= least, `${passed} cases passed`)
  }

  const throughPeer = (person: Person) => (id: string, can: readonly Feature[]) =>
    httpTransport({
      name: 'another shard',
      host: '127.0.0.1',
      port: cluster.shards[1]!.port,
      prefix: `/c/${id}`,
      headers: { authorization: `Bearer ${person.accessToken}` },
      can,
      maxRequestBody: 1_048_576,
    })

  test('are judged by the command, which tells by its exit code', async () => {
    const { known, person } = await owned()
    const args = [
      '--target',
      'gateway',
      '--url',
      `http://127.0.0.1:${home.port}`,
      '--bearer',
      person.accessToken,
    ]
    args.push(
      '--credentials',
      `${known.record.controllerId}:${known.secret}`,
      '--only',
      'method-*,gateway-welcome',
    )
    const main = join(import.meta.dirname, 'main.ts')
    const { stdout } = await promisify(execFile)(process.execPath, [main, ...args])
    assert.match(stdout, /✓ gateway-welcome: .*\n\n8 passed, 0 failed, 0 skipped\n$/)
    const failing = promisify(execFile)(process.execPath, [main, ...args, '--bearer', 'nobody'])
    await assert.rejects(failing, { code: 1 })
  })

  for (const [dialect, can, least] of [
    ['v2', V2, 95],
    ['v1', V1, 50],
  ] as const) {
    test(`keep to ${dialect} in path mode on the device's shard`, async () =>
      holds(targetOf(dialect, await owned()), least))

    test(`keep to ${dialect} in path mode through the other shard`, async () => {
      const mine = await owned()
      await holds({ ...targetOf(dialect, mine), user: throughPeer(mine.person) }, least)
    })

    test(`keep to ${dialect} on the device's own origin`, async () => {
      const { known, person } = await owned()
      const user = await ownOrigin(home, known.record.controllerId, person.refreshToken, [...can, 'cookies'])
      await holds({ ...targetOf(dialect, { known, person }), user: () => user }, least + 1)
    })
  }
})

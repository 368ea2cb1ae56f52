/** kill -9 of the API, the gateway, the worker and the devices in the middle of the work: what was acknowledged stays. */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ApiError } from '@wmoc/api/client'
import { createSimulator } from '@wmoc/device-sim/simulator'
import type { Simulator } from '@wmoc/device-sim/simulator'
import { run } from '@wmoc/testkit/process'
import type { TestProcess } from '@wmoc/testkit/process'
import { forgetLimits, openDatabase } from './support/database.ts'
import type { Database } from './support/database.ts'
import { eventually, openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'
import type { ServiceName } from '../scripts/start/services.ts'

const BATCHES = 1_000
const COMMANDS = 1_000
/** Among them, commands that the device answers with an error. */
const FAILURES = 10
const METERS = 4
const WORKERS = 10
/** What is killed together, in turn while the work goes on; each service comes three times. */
const BLOWS: readonly (readonly (ServiceName | 'devices')[])[] = [
  ['api'],
  ['gateway-0'],
  ['worker'],
  ['devices'],
  ['api', 'gateway-0'],
  ['gateway-0', 'worker'],
  ['api', 'worker'],
]

suite('kill -9 in the middle of the work', () => {
  let platform: TestStack
  let owner: Person
  let database: Database
  let folder: string
  let devices: TestProcess
  let tokens: string[]
  let meters: Simulator[]
  /** Ids of commands answered with 202, and how many batches the meters were told are stored. */
  const accepted = new Set<string>()
  let refusals = 0
  let acknowledged = 0
  const kills: Record<string, number> = {}

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wmoc crash '))
    platform = await openStack()
    owner = await platform.signIn('owner@wmoc.example')
    database = await openDatabase(platform)
    tokens = await Promise.all(Array.from({ length: WORKERS }, () => newToken()))
    devices = startDevices()
    await Promise.all(tokens.map((_, index) => devices.waitFor(new RegExp(`^online ${index} `))))
    await forgetLimits(platform)
    meters = await Promise.all(
      Array.from({ length: METERS }, async () => {
        const meter = createSimulator({ url: tunnel(), token: await newToken(), reportEveryMs: 5_000 })
        meter.events.on('acknowledged', () => (acknowledged += 1))
        meter.start()
        return meter
      }),
    )
    await eventually(async () => meters.every((meter) => meter.isOnline), 'the meters online')
  })
  after(async () => {
    await Promise.all((meters ?? []).map((meter) => meter.stop()))
    devices?.kill('SIGKILL')
    await database?.close()
    await platform?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const tunnel = () => `ws://localhost:${platform.stack.port}/tunnel`
  const startDevices = () =>
    run(join(import.meta.dirname, 'support/devices.ts'), { args: [tunnel(), folder, ...tokens] })

  async function newToken(): Promise<string> {
    const made = await owner.api.controllers.activate({ body: {} })
    if (made.kind !== 'token') throw new Error('asked for a token')
    return made.token
  }

  /** Numbered batches, as fast as each meter's memory allows. */
  async function measure(): Promise<void> {
    for (let n = 0; n < BATCHES; n += 1) {
      const meter = meters[n % METERS]!
      while (meter.unacknowledged > 60) await sleep(20)
      meter.report({ n })
      await sleep(8)
    }
  }

  /** Sends commands until so many were accepted; a command without an answer may have been queued or not. */
  async function command(controllerIds: readonly string[]): Promise<void> {
    let next = 0
    const sender = async () => {
      while (next < COMMANDS + FAILURES) {
        const n = next++
        const name = n < COMMANDS ? 'count' : 'fail'
        for (let attempt = 0; ; attempt += 1) {
          try {
            const { id } = await owner.api.commands.send({
              params: { id: controllerIds[n % controllerIds.length]! },
              body: { name, params: { n: n * 1_000 + attempt } },
            })
            accepted.add(id)
            break
          } catch (error) {
            // Only an outage or a full queue may refuse; anything else is a bug.
            if (error instanceof ApiError)
              assert.ok([429, 502, 503, 504].includes(error.status), error.message)
            refusals += 1
            await sleep(100)
          }
        }
      }
    }
    await Promise.all(Array.from({ length: 4 }, sender))
  }

  async function strike(names: (typeof BLOWS)[number]): Promise<void> {
    for (const name of names) kills[name] = (kills[name] ?? 0) + 1
    await Promise.all(
      names.map(async (name) => {
        if (name !== 'devices') return platform.stack.kill(name)
        devices.kill('SIGKILL')
        await devices.ended
        devices = startDevices()
      }),
    )
    const services = names.filter((name): name is ServiceName => name !== 'devices')
    await Promise.all(services.map((name) => platform.stack.restart(name)))
  }

  /** Blow by blow, spread over the work. */
  async function strikeAll(): Promise<void> {
    for (const [index, names] of BLOWS.entries()) {
      const goal = ((index + 0.5) / BLOWS.length) * (BATCHES + COMMANDS)
      while (acknowledged + accepted.size < goal) await sleep(20)
      await strike(names)
    }
  }

  test('loses nothing that was acknowledged and does no command twice', async () => {
    const controllerIds = [...devices.lines].flatMap((line) => /^online \d+ (\S+)$/.exec(line)?.[1] ?? [])
    assert.equal(new Set(controllerIds).size, WORKERS)
    const limits = setInterval(() => void forgetLimits(platform), 400)
    try {
      await Promise.all([measure(), command([...new Set(controllerIds)]), strikeAll()])
    } finally {
      clearInterval(limits)
    }
    assert.deepEqual(kills, { api: 3, 'gateway-0': 3, worker: 3, devices: 1 })
    assert.equal(accepted.size, COMMANDS + FAILURES)
    assert.ok(refusals > 0, 'some requests met a dead process')

    await eventually(async () => meters.every((meter) => meter.unacknowledged === 0), 'all acks', 120_000)
    await eventually(
      async () => {
        const open = await database.rows(`SELECT id FROM commands WHERE state IN ('queued', 'sent') LIMIT 1`)
        return open.length === 0
      },
      'all commands finished',
      120_000,
    )
  })

  test('has each of the batches in its database once', async () => {
    const stored = await database.rows<{ n: number }>(
      `SELECT value::int AS n FROM metrics WHERE metric_type = 'n' ORDER BY 1`,
    )
    assert.deepEqual(
      stored.map(({ n }) => n),
      Array.from({ length: BATCHES }, (_, n) => n),
    )
  })

  test('has every accepted command acknowledged, and executed on the device exactly once', async () => {
    const rows = await database.rows<{
      id: string
      name: string
      n: number
      state: string
      error: string | null
    }>(`SELECT id, name, (params->>'n')::int AS n, state, error FROM commands`)
    const found = new Map(rows.map((row) => [row.id, row]))
    for (const id of accepted) assert.ok(found.has(id), `${id} was accepted and is gone`)
    const executed = readFileSync(join(folder, 'executed'), 'utf8').trim().split('\n').map(Number)
    assert.equal(new Set(executed).size, executed.length, 'no command is executed twice')
    const counts = rows.filter(({ name }) => name === 'count')
    // A device that died between the deed and its record says so, and does not do it again.
    const interrupted = counts.filter(({ error }) => error === 'interrupted')
    assert.ok(interrupted.length <= WORKERS)
    for (const row of counts) {
      if (row.error === 'interrupted') continue
      assert.equal(row.state, 'acknowledged', JSON.stringify(row))
      assert.ok(executed.includes(row.n), `${row.n} was acknowledged and not executed`)
    }
    const known = new Set(counts.map(({ n }) => n))
    assert.ok(executed.every((n) => known.has(n)))
  })

  test('has the work of the worker done as well: rollups hold every value, each failure is told once', async () => {
    await eventually(async () => {
      const [row] = await database.rows<{ count: number }>(
        `SELECT coalesce(sum(count), 0)::int AS count FROM metrics_1m WHERE metric_type = 'n'`,
      )
      assert.ok(row!.count <= BATCHES)
      return row!.count === BATCHES
    }, 'all values rolled up')
    const told = async () =>
      database.rows<{ id: string }>(
        `SELECT data->>'commandId' AS id FROM notifications WHERE type = 'command_failed'`,
      )
    const failed = await database.rows<{ id: string }>(`SELECT id FROM commands WHERE state = 'failed'`)
    assert.ok(failed.length >= FAILURES)
    await eventually(async () => (await told()).length >= failed.length, 'all failures told')
    const ids = (rows: readonly { id: string }[]) => rows.map(({ id }) => id).toSorted()
    assert.deepEqual(ids(await told()), ids(failed))
  })
})

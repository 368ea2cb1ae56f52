import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { uuidv7 } from '@wmoc/platform/ids'
import type { ControlPlaneOutput, IngestBatch } from '@wmoc/protocol/control-plane'
import { freePort } from '@wmoc/testkit/free-port'
import { installJobs } from '#src/kernel/jobs.ts'
import { rows } from '#src/kernel/rows.ts'
import { testRedis } from '@wmoc/testkit/redis'
import { insertControllers, insertUser, openMigratedDatabase } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'

const TOKEN = 'internal-token-of-the-kill-test-0123'
const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url))

suite('ingest under kill -9', () => {
  test('keeps every one of 1,000 batches that it acknowledged, once', async (t) => {
    const [database, redis] = await Promise.all([openMigratedDatabase(), testRedis()])
    await installJobs(database.url)
    const owner = await insertUser(database.db)
    const controllerIds = await insertControllers(database.db, owner, 10)
    const port = await freePort()
    const start = (): ChildProcess =>
      spawn(process.execPath, [MAIN], {
        stdio: 'ignore',
        env: {
          PATH: process.env['PATH'],
          DATABASE_URL: database.url,
          REDIS_URL: redis.url,
          PORT: '0',
          ADMIN_PORT: '0',
          INTERNAL_PORT: `${port}`,
          INTERNAL_TOKEN: TOKEN,
          DEVICE_CREDENTIAL_KEY: 'device-credential-key-of-the-tests-0123',
          PASSWORD_PEPPER: 'password-pepper-of-the-tests-0123456789',
          SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
        },
      })
    let api = start()
    let isOver = false
    let kills = 0
    const kill = async (): Promise<void> => {
      const exited = once(api, 'exit')
      api.kill('SIGKILL')
      await exited
    }
    t.after(async () => {
      isOver = true
      await kill()
      await redis.stop()
      await database.close()
    })

    const send = async (batches: IngestBatch[]): Promise<boolean> => {
      const response = await fetch(`http://127.0.0.1:${port}/internal/ingest`, {
        method: 'POST',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ batches }),
      })
      if (response.status !== 200) return false
      const { results } = (await response.json()) as ControlPlaneOutput<'ingest'>
      return results.every((result) => result === 'stored')
    }
    const stream = uuidv7()
    const batch = (index: number): IngestBatch => ({
      kind: 'metrics',
      controllerId: controllerIds[index % controllerIds.length]!,
      stream,
      seq: index,
      receivedAt: Date.now(),
      items: [{ type: 'n', value: index }],
    })
    let acknowledged = 0
    const sending = (async () => {
      for (let from = 0; from < 1_000; from += 10) {
        const batches = Array.from({ length: 10 }, (_, index) => batch(from + index))
        // As the gateway does: again until it is acknowledged.
        while (!(await send(batches).catch(() => false))) await sleep(20)
        acknowledged += 10
        await sleep(5)
      }
    })()
    const killing = (async () => {
      for (let next = 100; next < 1_000; next += 250) {
        const goal = next
        await waitFor(() => acknowledged >= goal, 60_000)
        await kill()
        kills += 1
        if (!isOver) api = start()
      }
    })()
    await Promise.all([sending, killing])
    assert.equal(kills, 4)
    const stored = await rows<{ value: number }>(database.db, 'SELECT value FROM metrics', {})
    assert.deepEqual(
      stored.map(({ value }) => value).toSorted((a, b) => a - b),
      Array.from({ length: 1_000 }, (_, index) => index),
    )
  })
})

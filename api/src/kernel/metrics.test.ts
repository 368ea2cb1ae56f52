import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createServer } from 'node:tls'
import assert from 'node:assert/strict'
import { createMetrics } from '@wmoc/platform/metrics'
import type { Metrics } from '@wmoc/platform/metrics'
import { z } from 'zod'
import { compose } from '#src/compose.ts'
import { watchFleet } from '#src/modules/controllers/fleet-metrics.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import { quietLog } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { certificateEnd, watchCertificates } from './certificates.ts'
import { watchDependencies } from './dependency-metrics.ts'
import { createJobQueue } from './jobs.ts'
import { rows } from './rows.ts'

suite('metrics of the API', () => {
  let under: TestApi
  before(async () => {
    under = await startApi({ worker: false })
  })
  after(() => under.close())

  /** The samples of one metric: its labels → its value. */
  async function samples(metrics: Metrics, name: string): Promise<Record<string, number>> {
    const lines = (await metrics.registry.metrics()).split('\n')
    const own = lines.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    return Object.fromEntries(
      own.map((line) => {
        const [head, value] = [line.slice(name.length, line.lastIndexOf(' ')), line.split(' ').at(-1)]
        return [head, Number(value)]
      }),
    )
  }

  test('tell of jobs that are due, also where no worker runs', async () => {
    const open = (name: string) => {
      const metrics = createMetrics(name)
      const { db } = under.api.kernel
      const queue = createJobQueue({ databaseUrl: under.databaseUrl, db, log: quietLog, metrics })
      queue.handle('test.metered', z.object({}), () => Promise.resolve())
      return { metrics, queue }
    }
    const api = open('api')
    await api.queue.start({ work: false })
    assert.deepEqual(await samples(api.metrics, 'wmoc_api_jobs_oldest_due_seconds'), { '': 0 })
    await api.queue.enqueue('test.metered', {}, {})
    // A new registry has read nothing yet.
    const second = open('api')
    assert.deepEqual(await samples(second.metrics, 'wmoc_api_jobs_due'), { '{task="test.metered"}': 1 })
    assert.ok((await samples(second.metrics, 'wmoc_api_jobs_oldest_due_seconds'))['']! > 0)

    const worker = open('worker')
    await worker.queue.start({ work: true })
    await waitFor(async () => {
      const done = await samples(worker.metrics, 'wmoc_api_jobs_done_total')
      return done['{task="test.metered",outcome="done"}'] === 1
    })
    assert.deepEqual(await samples(worker.metrics, 'wmoc_api_job_duration_seconds_count'), {
      '{task="test.metered"}': 1,
    })
    assert.deepEqual(await samples(open('api').metrics, 'wmoc_api_jobs_due'), {})
    await Promise.all([api.queue.stop(), worker.queue.stop()])
  })

  test('count controllers by status and by how long they have been away, and name none', async () => {
    const user = await under.buildUser({ tier: 'premium' })
    const made = await Promise.all([1, 2, 3, 4, 5].map(() => under.buildController(user)))
    const { db } = under.api.kernel
    const set = (index: number, status: string, since: string) =>
      db.query(
        `UPDATE controllers SET status = $status, status_since = now() - $since::interval WHERE id = $id`,
        { bind: { id: made[index]!.id, status, since } },
      )
    await set(0, 'online', '2 days')
    await set(1, 'offline', '1 minute')
    await set(2, 'offline', '2 hours')
    await set(3, 'offline', '2 days')
    await set(4, 'offline', '2 hours')
    const bind = { id: made[4]!.id }
    await db.query(`UPDATE controllers SET suspended_at = now() WHERE id = $id`, { bind })
    const metrics = createMetrics('worker')
    watchFleet(metrics, db, () => new Date())
    assert.deepEqual(await samples(metrics, 'wmoc_api_controllers'), {
      '{status="pending"}': 0,
      '{status="online"}': 1,
      '{status="offline"}': 3,
      '{status="suspended"}': 1,
    })
    assert.deepEqual(await samples(metrics, 'wmoc_api_controllers_offline'), {
      '{duration="minutes"}': 1,
      '{duration="hours"}': 1,
      '{duration="days"}': 1,
    })
    const text = await metrics.registry.metrics()
    for (const { id } of made) assert.doesNotMatch(text, RegExp(id))
  })

  test('tell how long events wait for each subscriber, from the worker', async () => {
    const worker = compose({ ...under.config, ROLE: 'worker' }, { log: quietLog })
    worker.addWorker()
    await worker.lifecycle.start()
    const response = await fetch(`http://127.0.0.1:${worker.ports().admin}/metrics`)
    const text = await response.text()
    await worker.lifecycle.stop()
    const subscribers = await rows<{ subscriber: string }>(
      under.api.kernel.db,
      'SELECT subscriber FROM event_cursors',
      {},
    )
    assert.ok(subscribers.length > 0)
    for (const { subscriber } of subscribers)
      assert.match(
        text,
        RegExp(`^wmoc_api_events_oldest_waiting_seconds\\{subscriber="${subscriber}"\\} `, 'm'),
      )
    assert.match(text, /^wmoc_build_info\{component="worker",version="\d/m)
  })

  test('tell of connections, and of a dependency that goes away', async () => {
    const { db, store } = under.api.kernel
    const watch = () => {
      const metrics = createMetrics('api')
      watchDependencies({ metrics, db, store, hasReplicas: false })
      return samples(metrics, 'wmoc_api_dependency_up')
    }
    assert.deepEqual(await watch(), { '{dependency="postgres"}': 1, '{dependency="store"}': 1 })
    const metrics = createMetrics('api')
    watchDependencies({ metrics, db, store, hasReplicas: true })
    const connections = await samples(metrics, 'wmoc_api_database_connections')
    assert.deepEqual(Object.keys(connections), [
      '{server="primary",state="used"}',
      '{server="primary",state="idle"}',
    ])
    assert.deepEqual(await samples(metrics, 'wmoc_api_database_waiting'), { '{server="primary"}': 0 })
    assert.deepEqual(await samples(metrics, 'wmoc_api_database_replica_lag_seconds'), { '': 0 })
    await under.redis.stop()
    assert.deepEqual(await watch(), { '{dependency="postgres"}': 1, '{dependency="store"}': 0 })
  })
})

suite('the certificate that people meet', () => {
  let folder = ''
  let server: ReturnType<typeof createServer>
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'wmoc-certificate-'))
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
    const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
    const made = spawnSync('openssl', [...args, ...files, '-days', '9', '-subj', '/CN=portal.test'])
    assert.equal(made.status, 0, String(made.stderr))
    const read = (name: string) => readFileSync(join(folder, name))
    server = createServer({ key: read('key.pem'), cert: read('cert.pem') }, (socket) => socket.destroy())
    server.on('tlsClientError', () => {})
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  after(() => {
    server.close()
    rmSync(folder, { recursive: true })
  })
  const port = () => (server.address() as AddressInfo).port

  test('ends when it says', async () => {
    const end = await certificateEnd({ host: '127.0.0.1', port: port(), serverName: 'portal.test' })
    const days = (end - Date.now()) / 86_400_000
    assert.ok(days > 8.9 && days < 9.1, `${days} days`)
  })

  test('is told for the portal and for the pages of devices, and not where there is none', async () => {
    const told = async (publicUrl: string, deviceDomain: string | null) => {
      const metrics = createMetrics('worker')
      watchCertificates(metrics, { publicUrl, deviceDomain })
      const lines = (await metrics.registry.metrics()).split('\n')
      return lines.filter((line) => line.startsWith('wmoc_api_certificate')).map((line) => line.split(' ')[0])
    }
    const metric = 'wmoc_api_certificate_expiry_timestamp_seconds'
    const url = `https://127.0.0.1:${port()}`
    assert.deepEqual(await told(url, 'devices.test'), [
      `${metric}{name="portal"}`,
      `${metric}{name="devices"}`,
    ])
    assert.deepEqual(await told(url, null), [`${metric}{name="portal"}`])
    assert.deepEqual(await told('http://127.0.0.1:1', 'devices.test'), [])
    assert.deepEqual(await told('https://127.0.0.1:1', null), [])
  })
})

import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { freePort } from '@wmoc/testkit/free-port'
import { run } from '@wmoc/testkit/process'
import type { TestProcess } from '@wmoc/testkit/process'
import { rows } from '#src/kernel/rows.ts'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi, TestUser } from '#src/testing/harness.ts'
import { insertMember } from '#src/testing/plain-rows.ts'
import { waitFor } from '#src/testing/wait-for.ts'
import { createAlertsService } from './service.ts'

const TOKEN = 'alertmanager-token-of-the-tests-0123456789'
const PATH = '/api/integrations/alertmanager'
const OWNER = 'ops@example.test'

/** A webhook as Alertmanager 0.25 sends it. */
const webhook = (alerts: object[], more: object = {}) => ({
  receiver: 'wmoc',
  status: 'firing',
  alerts,
  groupLabels: {},
  commonLabels: {},
  commonAnnotations: {},
  externalURL: 'http://am',
  version: '4',
  groupKey: '{}:{}',
  truncatedAlerts: 0,
  ...more,
})
const alert = (more: object = {}) => ({
  status: 'firing',
  labels: { alertname: 'WMOCRingSplit', severity: 'critical' },
  annotations: {
    summary: 'Shards disagree.',
    runbook_url: 'https://wmoc.online/docs/runbooks/WMOCRingSplit',
  },
  startsAt: '2026-11-21T10:00:00Z',
  endsAt: '0001-01-01T00:00:00Z',
  generatorURL: 'http://prometheus',
  fingerprint: 'a1b2c3d4e5f60718',
  ...more,
})

suite('alerts of the platform', () => {
  let under: TestApi
  let owner: TestUser
  let admin: TestUser
  let operator: TestUser
  let stranger: TestUser

  before(async () => {
    under = await startApi({
      env: { ALERTMANAGER_TOKEN: TOKEN, ALERTMANAGER_WORKSPACE_OWNER: 'Ops@Example.test' },
      worker: false,
    })
    stranger = await under.buildUser()
  })
  after(() => under.close())

  const post = (body: unknown, token = TOKEN) =>
    under.request(PATH, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    })
  const told = async (user: TestUser) => {
    const { items } = await under.client(user).notifications.list({ query: { limit: 100 } })
    return items.map(({ type, title, message }) => ({ type, title, message }))
  }
  const receipts = () => rows(under.api.kernel.db, 'SELECT fingerprint FROM alert_receipts', {})

  test('are refused while there is nobody to tell, and nothing is noted', async () => {
    const answer = await post(webhook([alert()]))
    assert.equal(answer.status, 409)
    assert.match(((await answer.json()) as { detail: string }).detail, /ALERTMANAGER_WORKSPACE_OWNER/)
    assert.deepEqual(await receipts(), [])
  })

  test('reach the owner and the admins of the workspace in their language, and nobody else', async () => {
    owner = await under.buildUser({ email: OWNER })
    admin = await under.buildUser()
    operator = await under.buildUser()
    const { db } = under.api.kernel
    await insertMember(db, owner.workspaceId, admin.userId, 'admin')
    await insertMember(db, owner.workspaceId, operator.userId, 'operator')
    await db.query(`UPDATE users SET locale = 'ru' WHERE id = $id`, { bind: { id: admin.userId } })
    const answer = await post(webhook([alert()]))
    assert.deepEqual([answer.status, await answer.json()], [200, { told: 1 }])
    assert.deepEqual(await told(owner), [
      { type: 'alert_firing', title: 'Alert WMOCRingSplit (critical)', message: 'Shards disagree.' },
    ])
    assert.equal((await told(admin))[0]?.title, 'Тревога WMOCRingSplit (critical)')
    assert.deepEqual([await told(operator), await told(stranger)], [[], []])
  })

  test('are told once however often and from however many sides they are repeated', async () => {
    const answers = await Promise.all(Array.from({ length: 6 }, () => post(webhook([alert(), alert()]))))
    for (const answer of answers) assert.deepEqual([answer.status, await answer.json()], [200, { told: 0 }])
    assert.equal((await told(owner)).length, 1)
    const again = await post(webhook([alert({ startsAt: '2026-11-21T11:00:00+00:00' })]))
    assert.deepEqual(await again.json(), { told: 1 })
    assert.equal((await told(owner)).length, 2)
  })

  test('that are over are told, too', async () => {
    const over = alert({ status: 'resolved', endsAt: '2026-11-21T10:20:00Z' })
    assert.equal((await post(webhook([over], { status: 'resolved' }))).status, 200)
    const [newest] = await told(owner)
    assert.deepEqual([newest?.type, newest?.title], ['alert_resolved', 'Alert WMOCRingSplit is over'])
  })

  test('with fields that nobody knows yet are taken, and what is no webhook is refused', async () => {
    const news = alert({ fingerprint: 'ff', severityText: 'new', labels: { alertname: 'A' } })
    assert.equal((await post(webhook([news], { notificationReason: 'x' }))).status, 200)
    const noted = (await receipts()).length
    for (const body of [
      webhook([alert({ fingerprint: undefined })]),
      webhook([alert({ status: 'perhaps' })]),
      webhook([alert({ startsAt: 'yesterday' })]),
      webhook([alert({ labels: { alertname: 1 } })]),
      webhook([alert()], { version: '5' }),
      [],
    ]) {
      assert.equal((await post(body)).status, 400)
    }
    assert.equal((await receipts()).length, noted)
  })

  test('need the token', async () => {
    assert.equal((await post(webhook([]), 'wrong')).status, 401)
    const none = await under.request(PATH, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(webhook([])),
    })
    assert.equal(none.status, 401)
  })

  test('are not noted when they cannot be told', async () => {
    const noted = (await receipts()).length
    const failing = createAlertsService(under.api.kernel, {
      notify: async () => {
        throw new Error('away')
      },
    })
    const body = webhook([alert({ fingerprint: 'abc' })]) as Parameters<typeof failing.accept>[0]
    await assert.rejects(failing.accept(body), /away/)
    assert.equal((await receipts()).length, noted)
  })

  test('receipts are forgotten after 90 days', async () => {
    const { kernel } = under.api
    const later = { ...kernel, clock: () => new Date(Date.now() + 91 * 86_400_000) }
    await createAlertsService(later, { notify: async () => {} }).purge()
    assert.deepEqual(await receipts(), [])
  })

  suite('from a real Alertmanager', () => {
    let folder: string
    let alertmanager: TestProcess
    let url: string

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'wmoc-alertmanager-'))
      const config = join(folder, 'alertmanager.yaml')
      await writeFile(
        config,
        `route: {receiver: wmoc, group_by: [alertname], group_wait: 100ms, group_interval: 500ms, repeat_interval: 1s}
receivers:
  - name: wmoc
    webhook_configs:
      - url: ${under.url}${PATH}
        send_resolved: true
        http_config: {authorization: {type: Bearer, credentials: ${TOKEN}}}
`,
      )
      const port = await freePort()
      url = `http://127.0.0.1:${port}`
      alertmanager = run(`--config.file=${config}`, {
        program: 'prometheus-alertmanager',
        args: [
          `--storage.path=${folder}`,
          `--web.listen-address=127.0.0.1:${port}`,
          '--cluster.listen-address=',
        ],
      })
      await waitFor(async () => (await fetch(`${url}/-/ready`).catch(() => null))?.ok === true)
    })
    after(async () => {
      await alertmanager.stop()
      await rm(folder, { recursive: true, force: true })
    })

    test('an alert is told when it begins and when it ends, and its repeats are not', async () => {
      const labels = { alertname: 'WMOCShardDown', severity: 'critical', shard: 'gateway-1' }
      const annotations = { summary: 'A shard is down.', description: 'gateway-1 is away.' }
      const send = async (endsAt: Date) => {
        const response = await fetch(`${url}/api/v2/alerts`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify([{ labels, annotations, endsAt: endsAt.toISOString() }]),
        })
        assert.equal(response.status, 200, await response.text())
      }
      const mine = async () => (await told(owner)).filter(({ title }) => title.includes('WMOCShardDown'))
      const calls = async () => {
        const text = await (await fetch(`${url}/metrics`)).text()
        const line = /^alertmanager_notifications_total\{integration="webhook".*\} (\d+)/m.exec(text)
        return Number(line?.[1] ?? 0)
      }
      await send(new Date(Date.now() + 3_600_000))
      await waitFor(async () => (await mine()).length === 1)
      const sent = await calls()
      await waitFor(async () => (await calls()) >= sent + 2)
      assert.deepEqual(await mine(), [
        { type: 'alert_firing', title: 'Alert WMOCShardDown (critical)', message: 'gateway-1 is away.' },
      ])
      await send(new Date(Date.now() - 1_000))
      await waitFor(async () => (await mine()).length === 2)
      assert.equal((await mine())[0]?.type, 'alert_resolved')
      const text = await (await fetch(`${url}/metrics`)).text()
      assert.match(text, /^alertmanager_notifications_failed_total\{integration="webhook".*\} 0$/m)
    })
  })
})

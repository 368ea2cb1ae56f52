import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { uuidv7 } from '@wmoc/platform/ids'
import { startApi, type TestApi, type TestUser } from '#src/testing/harness.ts'

let under: TestApi
let user: TestUser
let controllerId: string

/** Reads a stream of events until a piece of text has come; answers all that came. */
async function readUntil(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
  const decoder = new TextDecoder()
  for (let all = ''; ;) {
    const { done, value } = await reader.read()
    if (done) throw new Error(`ended after ${all}`)
    all += decoder.decode(value, { stream: true })
    if (all.includes(text)) return all
  }
}

async function openStream(query = ''): Promise<ReadableStreamDefaultReader<Uint8Array>> {
  const response = await under.request(`/api/events${query}`, { as: user })
  assert.equal(response.status, 200)
  assert.match(response.headers.get('content-type') ?? '', /^text\/event-stream/)
  return response.body!.getReader()
}

suite('telemetry over HTTP', () => {
  before(async () => {
    under = await startApi()
    user = await under.buildUser()
    controllerId = (await under.buildController(user)).id
  })
  after(() => under.close())

  test('brings what a device sends to its owner: live, as a series, as log lines', async () => {
    const reader = await openStream(`?logs=${controllerId}&metrics=${controllerId}`)
    await readUntil(reader, '\n\n')
    const receivedAt = Date.now()
    const common = { controllerId, stream: uuidv7(), seq: 1, receivedAt }
    const { results } = await under.internal('ingest', {
      batches: [
        { ...common, kind: 'metrics', items: [{ type: 'temperature', value: 21.5 }] },
        { ...common, kind: 'log', items: [{ level: 'warn', message: 'door <open>' }] },
        { ...common, kind: 'metrics', controllerId: uuidv7(), items: [{ type: 't', value: 1 }] },
      ],
    })
    assert.deepEqual(results, ['stored', 'stored', 'refused'])
    const live = await readUntil(reader, 'door <open>')
    assert.match(live, /event: metrics\.received\ndata: \{"type":"metrics\.received".*"value":21\.5/)
    await reader.cancel()

    const client = under.client(user)
    const params = { id: controllerId }
    const { step, series } = await client.telemetry.metrics({ params, query: {} })
    assert.equal(step, '5m')
    assert.deepEqual(
      series.map(({ type, points }) => [type, points.map(({ v }) => v)]),
      [['temperature', [21.5]]],
    )
    const raw = await client.telemetry.metrics({ params, query: { step: 'raw', type: 'temperature' } })
    assert.deepEqual(raw.series[0]?.points, [{ t: receivedAt, v: 21.5 }])
    const types = await client.telemetry.metricTypes({ params })
    assert.deepEqual(
      types.items.map(({ type, lastValue, numeric }) => [type, lastValue, numeric]),
      [['temperature', 21.5, true]],
    )
    const logs = await client.telemetry.logs({ params, query: { level: 'warn', text: 'DOOR' } })
    assert.deepEqual(
      logs.items.map(({ message }) => message),
      ['door <open>'],
    )
  })

  test('U13: bounds what a question may cost', async () => {
    const ask = (query: string): Promise<Response> =>
      under.request(`/api/controllers/${controllerId}/metrics?${query}`, { as: user })
    const wide = await ask('step=1m&from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z')
    assert.equal(wide.status, 400)
    assert.equal(((await wide.json()) as { code: string }).code, 'range_too_wide')
    const many = Array.from({ length: 21 }, (_, index) => `type=t${index}`).join('&')
    assert.equal((await ask(many)).status, 400)
    assert.equal((await ask('from=yesterday')).status, 400)
    const lines = await under.request(`/api/controllers/${controllerId}/logs?limit=201`, { as: user })
    assert.equal(lines.status, 400)
  })

  test('ends the stream of a session that is revoked', async () => {
    const reader = await openStream()
    await readUntil(reader, '\n\n')
    const { status } = await under.request(`/api/auth/sessions/${user.sessionId}`, {
      method: 'DELETE',
      as: user,
      headers: { origin: under.config.PUBLIC_URL },
    })
    assert.equal(status, 204)
    for (;;) {
      const { done } = await reader.read()
      if (done) break
    }
  })

  test('sums up what pages spared a controller, a repeated report once, for its owner only', async () => {
    const owner = await under.buildUser()
    const { id: ownId } = await under.buildController(owner)
    const params = { id: ownId }
    const none = await under.client(owner).telemetry.pageFigures({ params })
    assert.deepEqual([none.since, none.requests], [null, 0])
    const figures = { requests: 10, fromCache: 6, coalesced: 1, bytesToUsers: 5_000, bytesFromDevice: 900 }
    const report = (seq: number, day: string) =>
      under.internal('page-figures/report', {
        stream: 'gateway-0@a',
        seq,
        day,
        figures: [
          { controllerId: ownId, ...figures },
          { controllerId: uuidv7(), ...figures },
        ],
      })
    assert.deepEqual(await report(1, '2026-11-20'), { accepted: 1 })
    assert.deepEqual(await report(1, '2026-11-20'), { accepted: 0 })
    assert.deepEqual(await report(2, '2026-11-20'), { accepted: 1 })
    assert.deepEqual(await report(3, '2026-11-21'), { accepted: 1 })
    assert.deepEqual(await under.client(owner).telemetry.pageFigures({ params }), {
      since: '2026-11-20T00:00:00.000Z',
      requests: 30,
      fromCache: 18,
      coalesced: 3,
      bytesToUsers: 15_000,
      bytesFromDevice: 2_700,
    })
    const stranger = await under.buildUser()
    await assert.rejects(under.client(stranger).telemetry.pageFigures({ params }), { code: 'not_found' })
  })
})

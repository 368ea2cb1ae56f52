/** One request over two shards is one trace: what the user waits for, the hop, the tunnel, and what the API was asked. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { startOtlpReceiver } from '@wmoc/testkit/otlp-receiver'
import type { OtlpReceiver, ReceivedSpan } from '@wmoc/testkit/otlp-receiver'
import { WebSocket } from 'ws'
import { eventually, openStack } from './support/stack.ts'
import type { Person, SimulatedController, TestStack } from './support/stack.ts'

suite('traces', () => {
  let receiver: OtlpReceiver
  let under: TestStack
  let person: Person
  let id: string
  let sim: SimulatedController

  before(async () => {
    receiver = await startOtlpReceiver()
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint, OTEL_BSP_SCHEDULE_DELAY: '100' }
    under = await openStack(env, { shards: 2 })
    person = await under.signIn('owner@example.test')
    ;({ id, sim } = await under.claimSim(person, { state: 'one', args: ['--protocol=v2'] }))
  })
  after(async () => {
    await under?.stop()
    await receiver.stop()
  })

  /** Asks a shard directly, as somebody who traces. */
  function ask(port: number, traceparent: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${person.accessToken}`, traceparent }
      request({ host: '127.0.0.1', port, path: `/c/${id}/`, headers }, (response) => {
        response.resume()
        response.once('end', () => resolve(response.statusCode!))
      })
        .once('error', reject)
        .end()
    })
  }

  /** A new trace, and the header of somebody who began it. */
  function begin(): { traceId: string; spanId: string; traceparent: string } {
    const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
    return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` }
  }

  const of = (traceId: string) => receiver.spans.filter((span) => span.traceId === traceId)
  const isOfApi = ({ service }: ReceivedSpan) => service === 'wmoc-api'
  const named = (spans: readonly ReceivedSpan[], name: string) => spans.filter((span) => span.name === name)

  test('go on from the caller’s over API, gateway and both shards', async () => {
    const asked = under.stack.gateways().map(({ port }) => ({ port, ...begin() }))
    for (const { port, traceparent } of asked) assert.equal(await ask(port, traceparent), 200)
    for (const { traceId, spanId } of asked) {
      const [whole] = await eventually(async () => {
        const found = named(of(traceId), 'GET device')
        return found.length > 0 && found
      }, 'the request’s span arrives')
      assert.deepEqual([whole!.parentSpanId, whole!.kind, whole!.service], [spanId, 2, 'wmoc-gateway'])
      assert.equal(whole!.attributes['http.response.status_code'], 200)
      assert.equal(whole!.attributes['wmoc.outcome'], 'ok')
    }
    const hopped = await eventually(
      async () => asked.find(({ traceId }) => named(of(traceId), 'serve tunnel').length > 0),
      'one of both asked the other',
    )
    const other = asked.find(({ traceId }) => traceId !== hopped.traceId)!
    // Each process sends its own, when its batch is full or old enough.
    await eventually(async () => {
      const came = of(hopped.traceId)
      const ofHop = ['GET device', 'hop', 'serve tunnel'].every((name) => named(came, name).length > 0)
      return ofHop && came.some(isOfApi) && named(of(other.traceId), 'tunnel').length > 0
    }, 'the spans of all processes')
    const spans = of(hopped.traceId)
    const [whole] = named(spans, 'GET device')
    const [hop] = named(spans, 'hop')
    const [serve] = named(spans, 'serve tunnel')
    assert.equal(whole!.attributes['wmoc.hop'], 'peer')
    assert.deepEqual([hop!.parentSpanId, hop!.kind], [whole!.spanId, 3])
    assert.deepEqual([serve!.parentSpanId, serve!.kind], [hop!.spanId, 2])
    assert.equal(hop!.attributes['wmoc.controller.id'], id)
    assert.equal(named(of(other.traceId), 'tunnel').length, 1)

    const [access] = spans.filter(isOfApi)
    assert.match(access!.name, /^internal /)
    assert.equal(access!.parentSpanId, whole!.spanId)
    const statements = spans.filter(({ attributes }) => attributes['db.system.name'] === 'postgresql')
    assert.ok(statements.length > 0)
    assert.ok(spans.every(({ isError }) => !isError))
  })

  test('show a request to the API with its route and its statements, and no values', async () => {
    const { traceId, traceparent } = begin()
    const answer = await person.fetch(`/api/controllers/${id}`, { headers: { traceparent } })
    assert.equal(answer.status, 200)
    const spans = await eventually(async () => {
      const found = of(traceId)
      return found.some(({ kind }) => kind === 2) && found
    }, 'the spans arrive')
    const [whole] = spans.filter(({ kind }) => kind === 2)
    assert.equal(whole!.name, 'GET controllers.get')
    const statements = spans.filter(({ kind }) => kind === 3)
    assert.ok(statements.length > 0)
    assert.ok(statements.every(({ parentSpanId }) => parentSpanId === whole!.spanId))
    assert.doesNotMatch(JSON.stringify(spans), RegExp(id))
  })

  test('end where a WebSocket begins', async () => {
    const { traceId, traceparent } = begin()
    const headers = { authorization: `Bearer ${person.accessToken}`, traceparent }
    const { port } = under.stack.gateways()[0]!
    const socket = new WebSocket(`ws://127.0.0.1:${port}/c/${id}/ws/echo`, { headers })
    await new Promise<void>((resolve, reject) => socket.once('open', resolve).once('error', reject))
    const [whole] = await eventually(async () => {
      const found = named(of(traceId), 'GET device')
      return found.length > 0 && found
    }, 'the span arrives while the WebSocket is open')
    assert.equal(whole!.attributes['http.response.status_code'], 101)
    assert.equal(
      of(traceId).filter(({ kind, parentSpanId }) => kind === 3 && parentSpanId === whole!.spanId).length,
      1,
    )
    socket.close()
  })

  test('tell what failed', async () => {
    await sim.stop()
    await eventually(
      async () => (await person.api.controllers.get({ params: { id } })).status === 'offline',
      'the controller offline',
    )
    const { traceId, traceparent } = begin()
    const { port } = under.stack.gateways()[0]!
    const status = await ask(port, traceparent)
    assert.ok(status >= 500)
    const [whole] = await eventually(async () => {
      const found = named(of(traceId), 'GET device')
      return found.length > 0 && found
    }, 'the span arrives')
    assert.deepEqual([whole!.isError, whole!.attributes['error.type']], [true, String(status)])
    assert.equal(whole!.attributes['wmoc.outcome'], 'device_offline')
  })

  test('show jobs, and nothing of what ticks every second', async () => {
    const jobs = () => receiver.spans.filter(({ service }) => service === 'wmoc-worker')
    await person.api.auth.requestPasswordReset({ body: { email: person.email } })
    await eventually(
      async () => jobs().some(({ name, kind }) => name.startsWith('job ') && kind === 5),
      'a job',
    )
    const roots = jobs().filter(({ parentSpanId }) => parentSpanId === '')
    assert.ok(roots.every(({ name }) => name.startsWith('job ')))
  })
})

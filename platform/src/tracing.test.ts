import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, afterEach, before, suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOtlpReceiver } from '@wmoc/testkit/otlp-receiver'
import type { OtlpReceiver } from '@wmoc/testkit/otlp-receiver'
import { ConfigError } from './config.ts'
import { openTracing } from './tracing.ts'

suite('traces', () => {
  let receiver: OtlpReceiver
  before(async () => {
    receiver = await startOtlpReceiver()
    // The exporter and the resource read these by themselves.
    process.env['OTEL_EXPORTER_OTLP_ENDPOINT'] = receiver.endpoint
    process.env['OTEL_EXPORTER_OTLP_HEADERS'] = 'authorization=Bearer%20abc'
    process.env['OTEL_RESOURCE_ATTRIBUTES'] = 'deployment.environment.name=test'
  })
  afterEach(() => void (receiver.spans as unknown[]).splice(0))
  after(async () => {
    for (const name of ['ENDPOINT', 'HEADERS']) delete process.env[`OTEL_EXPORTER_OTLP_${name}`]
    delete process.env['OTEL_RESOURCE_ATTRIBUTES']
    await receiver.stop()
  })
  const open = async (env: Record<string, string> = {}) =>
    (await openTracing('test', { ...process.env, ...env }))!

  test('are off, and load nothing, unless somebody says where they go', () => {
    const script = `
      import { openTracing } from ${JSON.stringify(join(import.meta.dirname, 'tracing.ts'))}
      import { registerHooks } from 'node:module'
      registerHooks({ load(url, context, next) { if (url.includes('opentelemetry')) console.log(url); return next(url, context) } })
      for (const env of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_SDK_DISABLED: 'true' },
        { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x', OTEL_TRACES_EXPORTER: 'none' }]) console.log(await openTracing('test', env))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script])
    assert.equal(String(stdout), 'null\nnull\nnull\n', String(stderr))
  })

  test('arrive with their parents, attributes and failures', async () => {
    const tracing = await open()
    const outer = tracing.start('outer', { kind: 'server', attributes: { 'http.request.method': 'GET' } })
    await tracing.within(outer, async () => {
      await new Promise((resolve) => setTimeout(resolve, 1))
      const inner = tracing.startInside('inner', { kind: 'client' })!
      assert.equal(tracing.active(), outer)
      inner.end('timeout')
      inner.end()
    })
    assert.equal(tracing.startInside('nowhere', { kind: 'internal' }), null)
    outer.rename('GET /things')
    outer.set({ 'http.response.status_code': 200 })
    outer.end()
    await tracing.stop()
    const [inner, first] = receiver.spans
    assert.equal(receiver.spans.length, 2)
    assert.deepEqual(
      [first!.name, first!.kind, first!.parentSpanId, first!.isError, first!.service],
      ['GET /things', 2, '', false, 'wmoc-test'],
    )
    assert.equal(first!.attributes['http.response.status_code'], 200)
    assert.deepEqual([inner!.name, inner!.kind, inner!.isError], ['inner', 3, true])
    assert.deepEqual([inner!.traceId, inner!.parentSpanId], [first!.traceId, first!.spanId])
    assert.equal(inner!.attributes['error.type'], 'timeout')
    assert.equal(receiver.heads.at(-1)!.authorization, 'Bearer abc')
  })

  test('go on where a sound header says, and begin anew at any other', async () => {
    const tracing = await open()
    const [traceId, spanId] = ['a'.repeat(32), 'b'.repeat(16)]
    const sound = tracing.start('sound', { kind: 'server', parent: `00-${traceId}-${spanId}-01` })
    assert.match(sound.traceparent, RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    sound.end()
    for (const parent of [
      '',
      'nonsense',
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `ff-${traceId}-${spanId}-01`,
    ]) {
      const other = tracing.start('other', { kind: 'server', parent })
      assert.notEqual(other.traceId, traceId)
      other.end()
    }
    await tracing.stop()
    assert.equal(receiver.spans.find(({ name }) => name === 'sound')!.parentSpanId, spanId)
  })

  test('are taken as the sampler says', async () => {
    const parent = (flags: string) => `00-${'a'.repeat(32)}-${'b'.repeat(16)}-${flags}`
    const cases: [Record<string, string>, string | undefined, boolean][] = [
      [{}, undefined, true],
      [{}, parent('00'), false],
      [{ OTEL_TRACES_SAMPLER: 'always_on' }, parent('00'), true],
      [{ OTEL_TRACES_SAMPLER: 'always_off' }, parent('01'), false],
      [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, parent('01'), true],
      [{ OTEL_TRACES_SAMPLER: 'parentbased_always_off' }, undefined, false],
      [{ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }, parent('01'), false],
      [{ OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '1' }, undefined, true],
    ]
    for (const [env, given, isTaken] of cases) {
      const tracing = await open(env)
      const span = tracing.start('one', { kind: 'server', parent: given })
      assert.equal(span.traceparent.endsWith('-01'), isTaken, JSON.stringify([env, given]))
      span.end()
      await tracing.stop()
    }
    assert.equal(receiver.spans.length, cases.filter(([, , isTaken]) => isTaken).length)
  })

  test('refuse variables that they do not understand', async () => {
    await assert.rejects(open({ OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), /only http\/json/)
    await assert.rejects(open({ OTEL_TRACES_SAMPLER: 'sometimes' }), ConfigError)
    await assert.rejects(open({ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }), /http or https URL/)
    await assert.rejects(open({ OTEL_BSP_MAX_QUEUE_SIZE: '10' }), /must not exceed/)
  })
})

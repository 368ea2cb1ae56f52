import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { RequestHandler, SocketHandler } from '@wmoc/device-sim/device/handler'
import type { SimulatorOptions } from '@wmoc/device-sim/simulator'
import { createForward, type Forward } from '@wmoc/device-sim/upstream/forward'
import { startDeviceBench, type DeviceBench } from './device/listener.ts'
import { startPage, type Page } from './page.ts'
import { resultLines, summary } from './report.ts'
import { judgeDevice } from './target-device.ts'
import { greedyDevice } from './testing/greedy-device.ts'
import { simulatedDevice } from './testing/simulated.ts'

suite('a device that breaks a rule fails the cases that hold it', { concurrency: true }, () => {
  let page: Page
  let good: Forward
  before(async () => {
    page = await startPage()
    good = createForward(page.url)
  })
  after(async () => {
    good.close()
    await page.stop()
  })

  async function failures(only: readonly string[], start: (bench: DeviceBench) => { stop(): unknown }) {
    const bench = await startDeviceBench({ dialect: 'v2' })
    const device = start(bench)
    try {
      const results = await judgeDevice(bench, { only })
      assert.ok(results.length > 1)
      assert.match(summary(results), /passed, \d failed/)
      for (const result of results) assert.ok(resultLines(result).includes(result.title))
      return results.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
    } finally {
      await device.stop()
      await bench.stop()
    }
  }

  const simulated = (options: Partial<SimulatorOptions>) => (bench: DeviceBench) =>
    simulatedDevice(page.url, { url: bench.url, protocol: 'v2', ...options })

  /** The page as it is, but for what `change` makes of the answer. */
  const answering =
    (
      change: (sink: Parameters<RequestHandler>[1]) => Partial<Parameters<RequestHandler>[1]>,
    ): RequestHandler =>
    (request, sink) =>
      good.handler(request, {
        whole: (...given) => sink.whole(...given),
        begin: (...given) => sink.begin(...given),
        write: (bytes) => sink.write(bytes),
        end: (trailers) => sink.end(trailers),
        fail: (reason) => sink.fail(reason),
        ...change(sink),
      })

  test('an answer cut off passes for a whole one', async () => {
    const handler = answering((sink) => ({ fail: () => sink.end() }))
    assert.deepEqual(await failures(['cut', 'download-*'], simulated({ handler })), ['cut'])
  })

  test('every piece loses its last octet', async () => {
    const handler = answering((sink) => ({ write: (bytes) => sink.write(bytes.subarray(0, -1)) }))
    const failed = await failures(
      ['download-1024', 'range-middle', 'method-head', 'status-204'],
      simulated({ handler }),
    )
    assert.deepEqual(failed, ['download-1024', 'range-middle'])
  })

  test('trailers are forgotten', async () => {
    const handler = answering((sink) => ({ end: () => sink.end() }))
    assert.deepEqual(await failures(['trailers-answer', 'method-get'], simulated({ handler })), [
      'trailers-answer',
    ])
  })

  test('every method is GET to it', async () => {
    const handler: RequestHandler = (request, sink) => {
      const { path, headers, body, isLive, signal } = request
      return good.handler({ method: 'GET', path, headers, body, isLive, signal }, sink)
    }
    assert.deepEqual(await failures(['method-get', 'method-put', 'download-0'], simulated({ handler })), [
      'method-put',
    ])
  })

  test('texts and binaries are the same to it', async () => {
    const socketHandler: SocketHandler = (request, socket) =>
      good.socketHandler(request, {
        accept: (headers, listener) => socket.accept(headers, listener),
        refuse: (...given) => socket.refuse(...given),
        send: (bytes) => socket.send(bytes, true),
        close: (...given) => socket.close(...given),
        fail: (reason) => socket.fail(reason),
      })
    const failed = await failures(
      ['socket-text', 'socket-binary', 'socket-order'],
      simulated({ socketHandler }),
    )
    assert.deepEqual(failed, ['socket-text'])
  })

  test('credit is nothing to it, and credentials are not kept', async () => {
    const failed = await failures(['credentials-kept', 'credit-*', 'method-get', 'reset-answered'], (bench) =>
      greedyDevice(page.url, bench.url),
    )
    assert.deepEqual(failed, ['credentials-kept', 'credit-stream', 'credit-connection'])
  })
})

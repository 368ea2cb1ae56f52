import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { HeaderBlock } from '@wmoc/protocol/messages'
import { createFaults } from './faults.ts'
import type { DeviceRequest, Handlers, RequestHandler, ResponseSink } from './handler.ts'
import { RequestBody } from './request-body.ts'

const refuse = () => Promise.reject(new Error('answered'))
const sink: ResponseSink = { whole: refuse, begin: refuse, write: refuse, end: refuse, fail: refuse }

function request(signal: AbortSignal): DeviceRequest {
  return { method: 'GET', path: '/', headers: {}, body: RequestBody.empty, isLive: true, signal }
}

function handlers(handler: RequestHandler): Handlers {
  return { request: handler, socket: () => undefined }
}

suite('faults', () => {
  test('none leave the handlers as they are', () => {
    const own = handlers(async () => undefined)
    assert.equal(createFaults([], () => 0).wrap(own), own)
  })

  test('silent never answers and ends with the request', async () => {
    const leaving = new AbortController()
    const silent = createFaults(['silent'], () => 0).wrap(handlers(() => sink.end()))
    const answer = silent.request(request(leaving.signal), sink)
    leaving.abort()
    await answer
  })

  test('slow answers after two seconds and stops waiting when the user goes', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    let answers = 0
    const slow = createFaults(['slow'], () => 0).wrap(handlers(async () => void (answers += 1)))
    const answer = slow.request(request(new AbortController().signal), sink)
    context.mock.timers.tick(1_999)
    assert.equal(answers, 0)
    context.mock.timers.tick(1)
    await answer
    assert.equal(answers, 1)
  })

  test('frozen begins an answer and never goes on', async () => {
    const leaving = new AbortController()
    const said: string[] = []
    const hearing: ResponseSink = {
      ...sink,
      begin: (status) => void said.push(String(status)),
      write: (bytes) => void said.push(Buffer.from(bytes).toString()),
    }
    const frozen = createFaults(['frozen'], () => 0).wrap(handlers(() => sink.end()))
    const answer = frozen.request(request(leaving.signal), hearing)
    await Promise.resolve()
    leaving.abort()
    await answer
    assert.deepEqual(said, ['200', 'fro'])
  })

  test('lying lengths announce what they do not send', async () => {
    const heads: HeaderBlock[] = []
    const hearing: ResponseSink = { ...sink, whole: (_, headers) => void heads.push(headers) }
    const lying = createFaults(['lying-lengths'], () => 0.5).wrap(
      handlers((_, to) => to.whole(200, { 'Content-Length': '2' }, Buffer.from('ok'))),
    )
    await lying.request(request(new AbortController().signal), hearing)
    assert.deepEqual(heads, [{ 'Content-Length': '500000' }])
  })

  test('wrong frames are sent by chance, in the dialect that is spoken', () => {
    const chances = [0.2, 0.6, 0.9, 0.2, 0.1]
    const faults = createFaults(['wrong-frames'], () => chances.shift() ?? 0)
    assert.equal(typeof faults.spoil('v1'), 'string')
    assert.equal(faults.spoil('v1'), null)
    assert.ok(faults.spoil('v2') instanceof Uint8Array)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HttpResponse, HttpResponseChunk } from '@wmoc/protocol/messages'
import type { ResponseSink } from '../handler.ts'
import { createExchange } from './exchange.ts'

test('ends an answer after all of its bytes, also while the line has no room', async () => {
  const sent: (HttpResponse | HttpResponseChunk)[] = []
  let makeRoom = Promise.withResolvers<void>()
  const sinks: ResponseSink[] = []
  const exchange = createExchange({
    handler: (_, sink) => void sinks.push(sink),
    send(message) {
      sent.push(message)
      return makeRoom.promise
    },
    maxStreams: 1,
    maxChunkBytes: () => 4,
    onDone: () => undefined,
    onError: assert.ifError,
  })
  exchange.accept({ type: 'http_request', id: 'a', method: 'GET', path: '/', headers: {}, body: '' })
  const [sink] = sinks
  assert.ok(sink)
  void sink.begin(200, {})
  void sink.write(Buffer.from('first second'))
  void sink.write(Buffer.from('third'))
  // A stream may end although it was told to pause: whoever passes its answer on does not wait.
  void sink.end()
  while (sent.at(-1)?.more !== false) {
    const { resolve } = makeRoom
    makeRoom = Promise.withResolvers<void>()
    resolve()
    await new Promise((turn) => setImmediate(turn))
  }
  assert.equal(sent.map(({ body }) => body).join(''), 'first secondthird')
})

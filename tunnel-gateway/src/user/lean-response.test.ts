import assert from 'node:assert/strict'
import { createServer, ServerResponse } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { listen } from '@wmoc/platform/listen'
import { LeanResponse } from './lean-response.ts'

type Handler = (response: ServerResponse, request: IncomingMessage) => void

const BODY = 'whole \xe9\xff body'
const LENGTH = ['Content-Length', String(BODY.length)]
const HEAD = ['Content-Type', 'text/plain', 'X-A', 'caf\xe9\t!', 'X-A', 'twice', 'x-a', '', ...LENGTH]

/** A server that answers as `handler` says; what it has counted of the events of its answers. */
async function startServer(Response: typeof ServerResponse | typeof LeanResponse, handler: () => Handler) {
  const events: string[] = []
  const server = createServer(
    {
      ServerResponse: Response as typeof ServerResponse,
      optimizeEmptyRequests: true,
      keepAliveTimeout: 65_000,
    },
    (request, response) => {
      for (const name of ['finish', 'close'] as const) response.on(name, () => events.push(name))
      handler()(response, request)
    },
  )
  server.on('checkContinue', (request, response) => handler()(response, request))
  const port = await listen(server, { port: 0, host: '127.0.0.1' })
  return {
    port,
    events,
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  }
}

/** All that comes in answer to `text` until the other side ends, without what the time of day changes. */
function ask(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(text, 'latin1'))
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (piece: string) => (answer += piece))
    socket.on('error', reject)
    socket.on('close', () =>
      resolve(answer.replaceAll(/^Date: \w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT\r$/gm, 'Date: now')),
    )
  })
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const LAST = 'GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
const whole: Handler = (response) => {
  response.writeHead(200, HEAD)
  response.end(BODY, 'latin1')
}
const withHead =
  (status: number, headers: string[]): Handler =>
  (response) => {
    try {
      response.writeHead(status, headers)
      response.end(BODY, 'latin1')
    } catch (error) {
      response.writeHead(500, ['X-Error', (error as { code: string }).code])
      response.end()
    }
  }

const CASES: readonly [string, Handler, string?][] = [
  ['a whole answer', whole],
  ['an empty one', (response) => void response.writeHead(200, ['Content-Length', '0']).end('', 'latin1')],
  ['none of it as text', (response) => void response.writeHead(200, HEAD).end(Buffer.from(BODY, 'latin1'))],
  ['text as UTF-8', (response) => void response.writeHead(200, ['Content-Length', '2']).end('\xe9')],
  ['an unknown status', withHead(299, HEAD)],
  ['205', withHead(205, ['Content-Length', '0'])],
  ['204', withHead(204, ['ETag', '"a"'])],
  ['204 with a length', withHead(204, HEAD)],
  ['304', withHead(304, HEAD)],
  ['no length', withHead(200, ['Content-Type', 'text/plain'])],
  ['two lengths', withHead(200, [...LENGTH, ...LENGTH])],
  ['chunks asked for', withHead(200, ['Transfer-Encoding', 'chunked'])],
  ['a date of its own', withHead(200, ['Date', 'Thu, 01 Jan 1970 00:00:00 GMT', ...LENGTH])],
  ['two dates', withHead(200, ['date', 'x', 'Date', 'y', ...LENGTH])],
  ['Connection: close', withHead(200, ['connection', 'close', ...LENGTH])],
  ['Keep-Alive of its own', withHead(200, ['Keep-Alive', 'timeout=1', ...LENGTH])],
  ['Content-Disposition', withHead(200, [...LENGTH, 'Content-Disposition', 'inline; filename="\xe9"'])],
  ['a value with a line feed', withHead(200, ['X-A', 'a\nX-B: b', ...LENGTH])],
  ['a value with a NUL', withHead(200, ['X-A', 'a\0', ...LENGTH])],
  ['a value beyond Latin-1', withHead(200, ['X-A', '\u0161', ...LENGTH])],
  ['a name with a space', withHead(200, ['X A', 'a', ...LENGTH])],
  ['a name with a line feed', withHead(200, ['X-A\r\nX-B', 'a', ...LENGTH])],
  ['an empty name', withHead(200, ['', 'a', ...LENGTH])],
  ['a name without a value', withHead(200, ['X-A', 'a', 'X-B'])],
  ['a status that is none', withHead(99, HEAD)],
  ['a reason', (response) => void response.writeHead(200, 'Fine', HEAD).end(BODY, 'latin1')],
  [
    'headers set one by one',
    (response) => void response.setHeader('X-B', 'b').writeHead(200, HEAD).end(BODY, 'latin1'),
  ],
  [
    'the last before a drain',
    (response) => {
      response.shouldKeepAlive = false
      whole(response, response.req)
    },
  ],
  [
    'the head before the body',
    (response) => {
      response.writeHead(200, HEAD)
      response.flushHeaders()
      setImmediate(() => response.end(BODY, 'latin1'))
    },
  ],
  [
    'the body in pieces',
    (response) => {
      response.writeHead(200, HEAD)
      response.write(BODY.slice(0, 3), 'latin1')
      setImmediate(() => response.end(BODY.slice(3), 'latin1'))
    },
  ],
  [
    'trailers',
    (response, { httpVersion, method }) => {
      if (httpVersion === '1.0' || method === 'HEAD') return whole(response, response.req)
      response.writeHead(200, ['Trailer', 'X-T'])
      response.write('a')
      response.addTrailers([['X-T', 't']])
      response.end()
    },
  ],
  [
    'two heads',
    (response) => {
      response.writeHead(200, HEAD)
      assert.throws(() => response.writeHead(500, HEAD), { code: 'ERR_HTTP_HEADERS_SENT' })
      response.end(BODY, 'latin1')
    },
  ],
  [
    'an end after the end',
    (response, request) => {
      whole(response, request)
      response.end()
    },
  ],
]

const REQUESTS: readonly [string, string][] = [
  ['GET', GET + LAST],
  ['three at once', GET + GET + GET + LAST],
  ['HEAD', `HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${LAST}`],
  ['HTTP/1.0', 'GET / HTTP/1.0\r\n\r\n'],
  ['HTTP/1.0 that stays', `GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${LAST}`],
  ['POST', `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc${LAST}`],
  ['Expect', `POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc${LAST}`],
]

suite('the lean response', () => {
  let handler: Handler = whole
  let lean: Awaited<ReturnType<typeof startServer>>
  let plain: typeof lean
  before(async () => {
    lean = await startServer(LeanResponse, () => handler)
    plain = await startServer(ServerResponse, () => handler)
  })
  after(() => Promise.all([lean.stop(), plain.stop()]))

  for (const [name, send] of CASES)
    test(`writes what Node writes: ${name}`, async () => {
      handler = (response, request) => (request.url === '/last' ? whole : send)(response, request)
      for (const [kind, text] of REQUESTS) {
        lean.events.length = plain.events.length = 0
        const expected = await ask(plain.port, text)
        assert.equal(await ask(lean.port, text), expected, kind)
        assert.deepEqual(lean.events, plain.events, kind)
      }
    })

  test('keeps the order where a later answer is ready first', async () => {
    const waiting: ServerResponse[] = []
    handler = (response) => {
      waiting.push(response)
      if (waiting.length < 3) return
      for (const one of waiting.toReversed()) whole(one, one.req)
    }
    const expected = await ask(plain.port, GET + GET + LAST)
    waiting.length = 0
    assert.equal(await ask(lean.port, GET + GET + LAST), expected)
  })

  /** The next answer is more than any connection takes at once. */
  function answerLarge(): Promise<LeanResponse> {
    const { promise, resolve } = Promise.withResolvers<LeanResponse>()
    const large = 'x'.repeat(32 * 1_048_576)
    handler = (response) => {
      response.writeHead(200, ['Content-Length', String(large.length)])
      response.end(large, 'latin1')
      resolve(response as LeanResponse)
    }
    return promise
  }

  test('is out only once the reader has taken enough of it', async () => {
    const answered = answerLarge()
    const socket = connect({ port: lean.port, host: '127.0.0.1' }, () =>
      socket.write(LAST.replace('close', 'keep-alive')),
    )
    const response = await answered
    await new Promise((later) => setImmediate(later))
    assert.equal(response.isOut, false)
    assert.ok(response.writableLength > 0)
    const closed = new Promise((done) => response.once('close', done))
    socket.resume()
    await closed
    assert.equal(response.isOut, true)
    socket.destroy()
  })

  test('never says that it is out to a reader who left in the middle', async () => {
    const answered = answerLarge()
    lean.events.length = 0
    const socket: Socket = connect({ port: lean.port, host: '127.0.0.1' }, () => socket.write(GET))
    const response = await answered
    const closed = new Promise((done) => response.once('close', done))
    socket.resetAndDestroy()
    await closed
    assert.equal(response.isOut, false)
    assert.deepEqual(lean.events, ['close'])
  })

  test('writes no answer after the connection is gone', async () => {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>()
    handler = (response) => resolve(response)
    lean.events.length = 0
    const socket: Socket = connect({ port: lean.port, host: '127.0.0.1' }, () => socket.write(GET))
    const response = await promise
    const closed = new Promise((done) => response.once('close', done))
    socket.destroy()
    await closed
    whole(response, response.req)
    await new Promise((later) => setImmediate(later))
    assert.deepEqual(lean.events, ['close'])
  })
})

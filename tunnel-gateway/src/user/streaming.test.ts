import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { DeviceV2Options } from '#src/testing/raw-device-v2.ts'

const AGENT = { max_chunk: 16_384, max_message: 65_536, rx_window: 65_536, rx_budget: 262_144 }

suite('streams of users', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ IDLE_TIMEOUT_MS: '20000', REQUEST_TIMEOUT_MS: '1000' })
  })
  after(() => harness.stop())

  async function served(options: DeviceV2Options = {}, from = harness) {
    const known = from.controlPlane.addController()
    const person = await from.controlPlane.addPerson()
    const id = known.record.controllerId
    from.controlPlane.grant(person, id)
    const hello = { ...AGENT, credentials: { max_req_header: 4_096 } }
    const device = await onlineV2(from.port, known, hello, options)
    const headers = { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` }
    return { device, person, id, headers, ask: (given = {}) => from.api(person, id, given) }
  }

  interface Open {
    readonly request: ClientRequest
    readonly response: Promise<IncomingMessage>
    readonly closed: Promise<void>
  }

  /** A request whose body the test writes, and whose answer it reads piece by piece. */
  function open(
    id: string,
    headers: Record<string, string>,
    method: string,
    path = '/',
    port = harness.port,
  ): Open {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path: `/c/${id}${path}`,
      headers,
      agent: false,
    })
    const response = new Promise<IncomingMessage>((resolve) => request.once('response', resolve))
    const closed = new Promise<void>((resolve) => request.once('close', () => resolve()))
    request.on('error', () => undefined)
    return { request, response, closed }
  }

  function rawUser(id: string, accessToken: string, text: string): { socket: Socket; text(): string } {
    const socket = connect(harness.port, '127.0.0.1')
    let seen = ''
    socket.on('data', (chunk: Buffer) => (seen += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    const head = `Host: localhost:8080\r\nAuthorization: Bearer ${accessToken}\r\n`
    socket.write(text.replaceAll('ID', id).replaceAll('HEAD\r\n', head))
    return { socket, text: () => seen }
  }

  const read = async (response: IncomingMessage) => {
    const chunks: Buffer[] = []
    response.on('data', (chunk: Buffer) => chunks.push(chunk))
    const isWhole = await new Promise<boolean>((resolve) => {
      response.once('end', () => resolve(true))
      response.once('error', () => resolve(false))
    })
    return { isWhole, body: Buffer.concat(chunks) }
  }

  test('P10: a body goes on as it comes, waits where the device does, and is never held whole', async () => {
    const { device, id, headers } = await served()
    const { request, response } = open(id, { ...headers, 'content-length': '3000000' }, 'POST')
    request.write(Buffer.alloc(1_000))
    const asked = await device.nextRequest()
    await until(() => asked.body.length > 0)
    asked.isReading = false
    request.write(Buffer.alloc(2_999_000))
    await until(() => request.socket!.bytesWritten > 200_000)
    await new Promise((resolve) => setTimeout(resolve, 200))
    const held = Buffer.concat(asked.body).length
    assert.ok(held <= AGENT.rx_window + 1_000, `${held} bytes beyond what the device gave credit for`)
    asked.isReading = true
    asked.stream.consumed(held - 1_000)
    await until(() => asked.log.includes('end'))
    assert.equal(Buffer.concat(asked.body).length, 3_000_000)
    answer(asked, 'all of it')
    request.end()
    assert.equal((await read(await response)).body.toString(), 'all of it')
  })

  test('P10: 100 Continue comes once the device takes the body, and a body that stands still is 408', async () => {
    const { device, id, person } = await served()
    const user = rawUser(
      id,
      person.accessToken,
      'POST /c/ID/slow HTTP/1.1\r\nHEAD\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n',
    )
    const asked = await device.nextRequest()
    await until(() => user.text().startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
    user.socket.write('12345')
    await until(() => Buffer.concat(asked.body).toString() === '12345')
    await until(() => user.text().includes('HTTP/1.1 408 '))
    await until(() => asked.log.some((line) => line.startsWith('reset')))
    await until(() => user.socket.destroyed)
  })

  test('P4: trailers pass both ways where they decide nothing, and no others', async () => {
    const { device, id, person } = await served()
    const user = rawUser(
      id,
      person.accessToken,
      'POST /c/ID/ HTTP/1.1\r\nHEAD\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n' +
        'X-Sum: 1\r\nAuthorization: evil\r\nCookie: a=b\r\nX-WMOC-User: root\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n',
    )
    const asked = await device.nextRequest()
    await until(() => asked.log.includes('end'))
    assert.deepEqual(asked.trailers, ['x-sum', '1'])
    asked.stream.respond({ status: 200, headers: [] }, false)
    asked.stream.write(Buffer.from('x'))
    await until(() => user.text().includes('\r\nx\r\n'))
    asked.stream.end([
      'x-sum',
      '2',
      'content-length',
      '9',
      'set-cookie',
      'a=b',
      'content-digest',
      'sha-256=:x:',
    ])
    await until(() => user.text().includes('\r\n0\r\n'))
    assert.match(user.text(), /\r\n0\r\nx-sum: 2\r\ncontent-digest: sha-256=:x:\r\n\r\n$/)
    user.socket.destroy()
  })

  test('an answer before the end of the body is the answer; a little of the rest is read, more ends the connection', async () => {
    const { device, id, person } = await served()
    const head = (length: number) => `POST /c/ID/ HTTP/1.1\r\nHEAD\r\nContent-Length: ${length}\r\n\r\n`
    const little = rawUser(id, person.accessToken, `${head(2_000)}${'x'.repeat(1_000)}`)
    answer(await device.nextRequest(), 'early')
    await until(() => little.text().endsWith('early'))
    little.socket.write(
      `${'x'.repeat(1_000)}GET /c/${id}/next HTTP/1.1\r\nHost: localhost:8080\r\nAuthorization: Bearer ${person.accessToken}\r\n\r\n`,
    )
    answer(await device.nextRequest(), 'second')
    await until(() => little.text().endsWith('second'))
    little.socket.destroy()

    const much = rawUser(id, person.accessToken, `${head(10_000_000)}${'x'.repeat(1_000)}`)
    answer(await device.nextRequest(), 'early')
    await until(() => much.text().endsWith('early'))
    much.socket.write('x'.repeat(1_000_000))
    await until(() => much.socket.destroyed)
    assert.equal(much.text().split('HTTP/1.1 ').length, 2)
  })

  test('T13: a user who leaves in the middle of a body is told to the device', async () => {
    const { device, id, headers } = await served()
    const { request } = open(id, { ...headers, 'content-length': '1000' }, 'PUT')
    request.write('abc')
    const asked = await device.nextRequest()
    request.destroy()
    await until(() => asked.log.includes('reset 1'))
  })

  test('T2, T20: a length that the device told is kept to, or the transfer is cut', async () => {
    const { device, id, headers } = await served()
    const stream = async (declared: number, sent: number[], isEnded: boolean) => {
      const { request, response } = open(id, headers, 'GET')
      request.end()
      const asked = await device.nextRequest()
      asked.stream.respond({ status: 200, headers: ['content-length', String(declared)] }, false)
      // The head is out before it can be known to lie.
      const got = await response
      const reading = read(got)
      for (const size of sent) {
        asked.stream.write(randomBytes(size))
        await new Promise((resolve) => setTimeout(resolve, 30))
      }
      if (isEnded) asked.stream.end()
      return { ...(await reading), length: got.headers['content-length'], asked }
    }
    const whole = await stream(30_000, [10_000, 20_000], true)
    assert.deepEqual([whole.isWhole, whole.body.length, whole.length], [true, 30_000, '30000'])
    const short = await stream(30_000, [10_000], true)
    assert.deepEqual([short.isWhole, short.length], [false, '30000'])
    const long = await stream(10_000, [10_000, 1], false)
    assert.deepEqual([long.isWhole, long.body.length < 10_000], [false, true])
    await until(() => long.asked.log.some((line) => line.startsWith('reset')))
    assert.match(await harness.metrics(), /bad_device_responses_total\{reason="length"\} 2/)
  })

  test('T2: a small answer that lies is 502, whole and with the right length where it does not', async () => {
    const { device, ask } = await served()
    device.serve((asked) => answer(asked, 'hello', 200, ['content-length', asked.request.path.slice(1)]))
    const right = await ask({ path: '/5' })
    assert.deepEqual([right.text, right.headers['content-length']], ['hello', '5'])
    assert.equal((await ask({ path: '/4' })).status, 502)
    assert.equal((await ask({ path: '/6' })).status, 502)
    device.serve((asked) => answer(asked, 'hello'))
    const silent = await ask()
    assert.deepEqual([silent.text, silent.headers['content-length']], ['hello', '5'])
  })

  test('P14: HEAD, 204 and 304 have no body and are whole at their head; a range passes with its length', async () => {
    const { device, ask } = await served()
    device.serve(({ request, stream }) => {
      if (request.path === '/range') {
        const range = request.headers[request.headers.indexOf('range') + 1]
        stream.respond(
          {
            status: 206,
            headers: ['content-range', `${range!.replace('=', ' ')}/100`, 'content-length', '4'],
          },
          false,
        )
        stream.write(Buffer.from('abcd'))
        stream.end()
      } else {
        const status = request.path === '/204' ? 204 : request.path === '/304' ? 304 : 200
        // A body follows although there may be none, or the end never comes.
        stream.respond({ status, headers: ['content-length', '5'] }, false)
        if (request.path !== '/endless') stream.write(Buffer.from('hello'))
      }
    })
    for (const [method, path, status] of [
      ['HEAD', '/x', 200],
      ['HEAD', '/endless', 200],
      ['GET', '/204', 204],
      ['GET', '/304', 304],
    ] as const) {
      const got = await ask({ method, path })
      assert.deepEqual([got.status, got.text, got.isCut], [status, '', false], path)
    }
    const range = await ask({ path: '/range', headers: { range: 'bytes=10-13' } })
    assert.deepEqual(
      [range.status, range.text, range.headers['content-range'], range.headers['content-length']],
      [206, 'abcd', 'bytes 10-13/100', '4'],
    )
  })

  test('the trace goes on to the device where it has room, or begins here; how long it took is told', async () => {
    const { device, ask } = await served()
    const traces: string[] = []
    device.serve((asked) => {
      const { headers } = asked.request
      traces.push(headers[headers.indexOf('traceparent') + 1]!)
      answer(asked, 'x')
    })
    const traceId = 'a'.repeat(32)
    const known = await ask({ headers: { traceparent: `00-${traceId}-${'b'.repeat(16)}-01` } })
    assert.match(traces[0]!, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`))
    assert.notEqual(traces[0]!.slice(36, 52), 'b'.repeat(16))
    assert.match(known.headers['server-timing'] as string, /^wmoc;dur=\d+\.\d, device;dur=\d+\.\d$/)
    for (const broken of [
      `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`,
      'x',
      `ff-${traceId}-${'b'.repeat(16)}-01`,
    ]) {
      await ask({ headers: { traceparent: broken } })
      assert.match(traces.at(-1)!, /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
      assert.notEqual(traces.at(-1)!.slice(3, 35), traceId)
    }
    const text = await (
      await fetch(`http://127.0.0.1:${harness.gateway.adminPort}/metrics`, {
        headers: { accept: 'application/openmetrics-text; version=1.0.0' },
      })
    ).text()
    assert.match(text, /duration_seconds_bucket\{[^}]*outcome="ok"[^}]*\} \d+ # \{trace_id="[0-9a-f]{32}"\}/)
    assert.match(text, /proxy_requests_total\{method="GET",code="200",outcome="ok",hop="local"\} \d+\n/)
    assert.ok(text.endsWith('# EOF\n'))
  })

  test('a drain ends event streams between two events, and lets other answers come to their end', async () => {
    const leaving = await startHarness({ DRAIN_DEADLINE_MS: '3000' })
    const { device, id, headers } = await served({}, leaving)
    try {
      const events = open(id, headers, 'GET', '/events', leaving.port)
      events.request.end()
      const asked = await device.nextRequest()
      asked.stream.respond({ status: 200, headers: ['content-type', 'text/event-stream'] }, false)
      asked.stream.write(Buffer.from('data: 1\n\ndata: 2'))
      const stream = await events.response
      const got = read(stream)
      const stopped = leaving.gateway.lifecycle.stop()
      let isOver = false
      void got.then(() => (isOver = true))
      // The second event is under way: it is waited for, as long as it keeps coming.
      const ticker = setInterval(() => asked.stream.write(Buffer.from(' and')), 100)
      await new Promise((resolve) => setTimeout(resolve, 500))
      assert.equal(isOver, false)
      clearInterval(ticker)
      const finish = setInterval(() => asked.stream.write(Buffer.from('\n\ndata: 3')), 100)
      const { isWhole, body } = await got
      clearInterval(finish)
      assert.equal(isWhole, true)
      assert.match(body.toString(), /^data: 1\n\ndata: 2(?: and)*\n\n(?:data: 3\n\n)*$/)
      await stopped
    } finally {
      await leaving.stop()
    }
  })
})

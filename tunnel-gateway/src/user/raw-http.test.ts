import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

suite('raw HTTP', () => {
  let harness: Harness
  let id: string
  let authorization: string
  const reached: { method: string; path: string; body: string; headers: Record<string, unknown> }[] = []
  let served: Awaited<ReturnType<Harness['online']>>
  const answerOk = (request: (typeof reached)[number]) => {
    reached.push(request)
    return { body: 'ok' }
  }
  before(async () => {
    harness = await startHarness()
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    id = known.record.controllerId
    harness.controlPlane.grant(person, id)
    authorization = `Authorization: Bearer ${person.accessToken}\r\n`
    served = await harness.online(known, { max_req_header: 8_192 })
    served.serve(answerOk)
  })
  after(() => harness.stop())

  async function send(text: string, responses = 1) {
    reached.length = 0
    return sendRaw(harness.port, text.replaceAll('/ID', `/${id}`).replaceAll('AUTH\r\n', authorization), {
      timeoutMs: 10_000,
      responses,
    })
  }
  const HEAD = 'Host: localhost:8080\r\nAUTH\r\n'

  test('P1: lengths that disagree or cannot be are 400 and close, never a second response', async () => {
    const bodies = [
      'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /c/ID/smuggled HTTP/1.1\r\n\r\n',
      'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
      'Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
      'Content-Length: 4, 4\r\n\r\nabcd',
      'Content-Length: +4\r\n\r\nabcd',
      'Content-Length: -4\r\n\r\nabcd',
      'Content-Length: 0x4\r\n\r\nabcd',
      'Content-Length: 99999999999999999999999999\r\n\r\nabcd',
      'Content-Length:\r\n\r\nabcd',
      'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding: identity\r\n\r\nabcd',
      'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
      'Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n',
    ]
    for (const body of bodies) {
      const answer = await send(`POST /c/ID/x HTTP/1.1\r\n${HEAD}${body}`)
      assert.deepEqual(answer.statuses, [400], body)
      assert.equal(answer.isClosed, true, body)
      assert.deepEqual(reached, [], body)
    }
    const old = await send(`POST /c/ID/x HTTP/1.0\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`)
    assert.deepEqual(old.statuses, [400])
    assert.deepEqual(reached, [])
  })

  test('P14: no body where there may be none, no 1xx of a device, and the framing stays whole after each', async () => {
    const device = served
    const answers: [string, object, RegExp][] = [
      ['HEAD', { status: 200, headers: { 'Content-Length': '5' }, body: 'hello' }, /^HTTP\/1\.1 200 /],
      ['GET', { status: 204, headers: { 'Content-Length': '5' }, body: 'hello' }, /^HTTP\/1\.1 204 /],
      ['GET', { status: 304, headers: { ETag: '"a"' }, body: 'hello' }, /^HTTP\/1\.1 304 /],
      ['GET', { status: 103, headers: { Link: '</x>; rel=preload' }, body: 'hello' }, /^HTTP\/1\.1 502 /],
    ]
    for (const [method, answer, expected] of answers) {
      device.serve(() => answer)
      const { text, statuses } = await send(
        `${method} /c/ID/x HTTP/1.1\r\n${HEAD}\r\nGET /healthz HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n`,
        2,
      )
      assert.match(text, expected)
      assert.equal(text.includes('hello'), false, text)
      assert.equal(statuses.length, 2, text)
    }
    device.serve(answerOk)
  })

  test('P2: hosts that are double, missing, malformed or others, and methods and versions that are nobody’s', async () => {
    const cases: [string, number][] = [
      ['GET /c/ID/ HTTP/1.1\r\nHost: localhost:8080\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.1\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.0\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.1\r\nHost: a@evil\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.1\r\nHost: localhost:8080, evil\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.1\r\nHost: evil.example\r\nAUTH\r\n', 421],
      ['GET http://evil.example/c/ID/ HTTP/1.1\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/2.0\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/1.2\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['GET /c/ID/ HTTP/0.9\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['TRACE /c/ID/ HTTP/1.1\r\nHost: localhost:8080\r\nAUTH\r\n', 405],
      ['CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost:8080\r\nAUTH\r\n', 405],
      ['FROB /c/ID/ HTTP/1.1\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
      ['OPTIONS * HTTP/1.1\r\nHost: localhost:8080\r\nAUTH\r\n', 400],
    ]
    for (const [text, status] of cases) {
      const answer = await send(`${text}\r\n`)
      assert.deepEqual(answer.statuses, [status], text)
      assert.deepEqual(reached, [], text)
    }
    assert.deepEqual(
      (await send(`GET http://localhost:8080/c/ID/abs HTTP/1.1\r\n${HEAD}\r\n`)).statuses,
      [200],
    )
    assert.equal(reached[0]?.path, '/abs')
  })

  test('P3: folded lines and control characters are 400', async () => {
    const heads = [
      'X-A: a\r\n b\r\n',
      'X-A: a\x00b\r\n',
      'X-A: a\rb\r\n',
      'X-\x01A: b\r\n',
      'X A: b\r\n',
      ': b\r\n',
      'X-A: a\x7fb\r\n',
    ]
    for (const head of heads) {
      const answer = await send(`GET /c/ID/ HTTP/1.1\r\n${HEAD}${head}\r\n`)
      assert.deepEqual(answer.statuses, [400], JSON.stringify(head))
      assert.deepEqual(reached, [], JSON.stringify(head))
    }
  })

  test('P4: chunks that lie or hide something are refused; trailers are dropped', async () => {
    const chunked = `POST /c/ID/x HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n`
    for (const body of [
      '-1\r\nabc\r\n0\r\n\r\n',
      'fffffffffffffffff\r\nabc',
      'zz\r\nabc',
      '3\r\nabcdef\r\n0\r\n\r\n',
    ]) {
      const answer = await send(chunked + body)
      assert.ok([400, 413].includes(answer.statuses[0]!), `${body}: ${answer.statuses.join()}`)
      assert.deepEqual(reached, [], body)
    }
    assert.deepEqual((await send(`${chunked}3;${'e'.repeat(40_000)}\r\nabc\r\n0\r\n\r\n`)).statuses, [413])
    const trailed = await send(`${chunked}3;a=b\r\nabc\r\n0\r\nAuthorization: x\r\nX-Trailer: y\r\n\r\n`)
    assert.deepEqual(trailed.statuses, [200])
    assert.equal(reached[0]?.body, 'abc')
    assert.equal(reached[0]?.headers['x-trailer'], undefined)
  })

  test('P7: a path reaches the device of the id that was authorised, raw, or nobody', async () => {
    const raw = [
      '/../c2',
      '/%2e%2e/c2',
      '/a%2fb',
      '//x',
      '/;x',
      '/%00',
      '/%252e',
      '/a?b=../c',
      '/..;/x',
      '/.%2e/',
    ]
    for (const path of raw) {
      const answer = await send(`GET /c/ID${path} HTTP/1.1\r\n${HEAD}\r\n`)
      assert.deepEqual(answer.statuses, [200], path)
      assert.equal(reached[0]?.path, path)
    }
    const refused: [string, number][] = [
      ['/c/ID/é', 400],
      ['/c/ID/#x', 400],
      ['/c/ID/a b', 400],
      ['/c/ID/a\x00b', 400],
      [`/c/${'a'.repeat(300)}/`, 404],
      ['/c/../c/ID/', 404],
      ['//c/ID/', 404],
      ['/C/ID/', 404],
      ['/c//ID/', 404],
      ['/c/%49D/', 404],
      ['/%63/ID/', 404],
      ['/c/IDx/', 404],
      ['/c/ID;x/', 404],
      ['/c/ID%2f', 404],
      ['/', 404],
    ]
    for (const [path, status] of refused) {
      const answer = await send(`GET ${path} HTTP/1.1\r\n${HEAD}\r\n`)
      assert.deepEqual(answer.statuses, [status], path)
      assert.deepEqual(reached, [], path)
    }
    const upper = await send(`GET /c/${id.toUpperCase()}/ HTTP/1.1\r\n${HEAD}\r\n`)
    assert.deepEqual(upper.statuses, [404])
    const bare = await send(`GET /c/ID?x=1 HTTP/1.1\r\n${HEAD}\r\n`)
    assert.deepEqual(bare.statuses, [308])
    assert.ok(bare.text.includes(`Location: /c/${id}/?x=1\r\n`))
  })

  test('P10: 431 for a head too large, 414 for a target too long, and 100 only for a body that is wanted', async () => {
    assert.deepEqual(
      (await send(`GET /c/ID/ HTTP/1.1\r\n${HEAD}X-A: ${'a'.repeat(20_000)}\r\n\r\n`)).statuses,
      [431],
    )
    assert.deepEqual((await send(`GET /c/ID/${'a'.repeat(9_000)} HTTP/1.1\r\n${HEAD}\r\n`)).statuses, [414])
    const wanted = await send(
      `POST /c/ID/ HTTP/1.1\r\n${HEAD}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
      2,
    )
    assert.deepEqual(wanted.statuses, [100, 200])
    const unwanted = await send(
      `POST /c/ID/ HTTP/1.1\r\n${HEAD}Expect: 100-continue\r\nContent-Length: 9000\r\n\r\n`,
    )
    assert.deepEqual(unwanted.statuses, [413])
    const stranger = await send(
      'POST /c/ID/ HTTP/1.1\r\nHost: localhost:8080\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n',
    )
    assert.deepEqual(stranger.statuses, [401])
  })

  test('P11: an upgrade of an ordinary request opens no pipe', async () => {
    for (const protocol of ['h2c', 'websocket', 'TLS/1.2']) {
      const answer = await send(
        `GET /c/ID/ HTTP/1.1\r\n${HEAD}Connection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
      )
      assert.deepEqual(answer.statuses, [426], protocol)
      assert.equal(answer.isClosed, true)
    }
  })

  test('P13: nothing in a request makes the gateway connect anywhere', async () => {
    await send(`GET /c/ID//169.254.169.254/latest HTTP/1.1\r\n${HEAD}\r\n`)
    assert.equal(reached[0]?.path, '//169.254.169.254/latest')
    await send(`GET /c/ID/http://169.254.169.254/ HTTP/1.1\r\n${HEAD}\r\n`)
    assert.equal(reached[0]?.path, '/http://169.254.169.254/')
  })

  test('each request of a connection is judged by its own token', async () => {
    const stranger = await harness.controlPlane.addPerson()
    const own = `GET /c/ID/own HTTP/1.1\r\n${HEAD}\r\n`
    const foreign = own.replace('AUTH\r\n', `Authorization: Bearer ${stranger.accessToken}\r\n`)
    const none = own.replace('AUTH\r\n', '')
    const answer = await send(own + foreign + own + none + own, 5)
    assert.deepEqual(answer.statuses, [200, 404, 200, 401, 200])
    assert.equal(reached.length, 3)
  })

  test('pipelined requests are answered one by one, in order', async () => {
    const one = `GET /c/ID/1 HTTP/1.1\r\n${HEAD}\r\n`
    const answer = await send(one + one.replace('/1', '/2'), 2)
    assert.deepEqual(answer.statuses, [200, 200])
    assert.deepEqual(
      reached.map((request) => request.path),
      ['/1', '/2'],
    )
  })
})

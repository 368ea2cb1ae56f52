import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { sendRaw } from '@wmoc/testkit/http-raw'
import { connectDevice } from '#src/testing/raw-device.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

const HANDSHAKE =
  'GET /tunnel HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'

suite('hostile devices', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ MAX_UNREGISTERED_PER_ADDRESS: '5', DEVICE_MESSAGES_PER_SECOND: '5' })
  })
  after(() => harness.stop())

  async function served() {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(person, known.record.controllerId)
    const device = await harness.online(known)
    return {
      device,
      ask: (given = {}) => harness.api(person, known.record.controllerId, given),
      known,
      person,
    }
  }

  test('O11: /tunnel refuses what a browser sends: Origin or Cookie', async () => {
    for (const header of ['Origin: https://evil.example', 'Cookie: a=b']) {
      const answer = await sendRaw(harness.port, `${HANDSHAKE}${header}\r\n\r\n`)
      assert.deepEqual(answer.statuses, [403])
    }
  })

  test('P11: broken upgrades open no pipe', async () => {
    const cases: [string, number[]][] = [
      [HANDSHAKE.replace('Version: 13', 'Version: 12'), [400, 426]],
      [HANDSHAKE.replace(/Sec-WebSocket-Key.*\r\n/, ''), [400]],
      [`${HANDSHAKE}Content-Length: 3\r\n`, [400]],
      [HANDSHAKE.replace('Upgrade: websocket', 'Upgrade: h2c'), [426]],
      [HANDSHAKE.replace('/tunnel', '/c/x/'), [404]],
      [HANDSHAKE.replace('GET', 'POST'), [400, 405, 426]],
      ['GET /tunnel HTTP/1.1\r\nHost: localhost:8080\r\n', [426]],
    ]
    for (const [head, expected] of cases) {
      const answer = await sendRaw(harness.port, `${head}\r\nabc`, { timeoutMs: 500 })
      assert.ok(expected.includes(answer.statuses[0]!), `${head} gave ${answer.statuses.join()}`)
      assert.ok(!answer.text.includes('101 Switching'))
    }
  })

  test('T17: a subprotocol that is not spoken here is refused before the upgrade', async () => {
    assert.deepEqual(
      (await sendRaw(harness.port, `${HANDSHAKE}Sec-WebSocket-Protocol: wmoc.v0\r\n\r\n`)).statuses,
      [400],
    )
    const device = await harness.connect({}, '/tunnel')
    assert.equal(device.socket.protocol, '')
    device.stop()
    const named = await sendRaw(
      harness.port,
      `${HANDSHAKE}Sec-WebSocket-Protocol: wmoc.v9, wmoc.v1\r\n\r\n`,
      { timeoutMs: 200 },
    )
    assert.match(named.text, /Sec-WebSocket-Protocol: wmoc\.v1\r\n/)
  })

  test('T15: one address holds only so many sockets that did not register', async () => {
    const devices = await Promise.all(Array.from({ length: 5 }, () => harness.connect()))
    const refused = await sendRaw(harness.port, `${HANDSHAKE}\r\n`)
    assert.deepEqual(refused.statuses, [429])
    for (const device of devices) device.stop()
    await until(async () => (await harness.status())['unregistered'] === 0)
    const again = await harness.connect()
    again.stop()
  })

  test('T6: a message over the limit closes with 1009, and compression is never agreed to', async () => {
    const { device } = await served()
    device.send({ type: 'metrics', items: [{ type: 'x', value: 'a'.repeat(300_000) }] })
    assert.equal((await device.closed).code, 1009)
    const offered = await connectDevice(harness.port, { perMessageDeflate: true })
    assert.equal(offered.socket.extensions, '')
    offered.stop()
  })

  test('T6: a message in thousands of fragments closes', async () => {
    const { device } = await served()
    for (let index = 0; index < 2_000; index += 1) device.socket.send('a', { fin: false })
    assert.equal((await device.closed).code, 1008)
  })

  test('T7: what is no message closes with 1007, 1008 or 4400', async () => {
    const deep = '['.repeat(100_000)
    const cases: [string | Buffer, number][] = [
      ['{', 1007],
      ['{"type":"metrics","items":[{"type":"a","value":1e400}]}', 1008],
      [`{"type":"metrics","items":[{"type":"a","value":${deep}`, 1008],
      ['{"type":"nonsense"}', 4400],
      ['{"type":"log","type":"log","items":[]}', 1008],
      ['"\\ud800"', 1008],
    ]
    for (const [text, expected] of cases) {
      const { device } = await served()
      device.send(text)
      assert.equal((await device.closed).code, expected, String(text).slice(0, 60))
    }
    const { device } = await served()
    device.socket.send(Buffer.from([0x22, 0xff, 0xfe, 0x22]), { binary: false })
    assert.equal((await device.closed).code, 1007)
    const binary = await served()
    binary.device.socket.send(Buffer.from('{}'), { binary: true })
    assert.equal((await binary.device.closed).code, 1008)
  })

  test('T8: keys like __proto__ are data and pollute nothing', async () => {
    const { device, known } = await served()
    device.send(
      '{"type":"metrics","seq":1,"items":[{"type":"a","value":{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}}]}',
    )
    await device.next('ack')
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
    const stranger = await harness.connect()
    stranger.send(
      `{"type":"register","credentials":{"controller_id":"${known.record.controllerId}","secret":"${known.secret}","__proto__":{"polluted":1}}}`,
    )
    await Promise.race([stranger.next('registered'), stranger.closed])
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
    stranger.stop()
  })

  test('T1, T3: heads that break the policy are 502 and the tunnel stays', async () => {
    const { device, ask } = await served()
    const bad: { status?: unknown; headers?: unknown }[] = [
      ...[0, 99, 100, 101, 199, 600, 1000, 200.5, '200', null, true].map((status) => ({ status })),
      { headers: { 'X-A': 'a\r\nSet-Cookie: b' } },
      { headers: { 'X-A': 'a\u0000' } },
      { headers: { 'X A': 'a' } },
      { headers: { '': 'a' } },
      { headers: { 'X-A': { b: 1 } } },
      { headers: { 'X-A': 5 } },
      { headers: ['X-A'] },
      { headers: 'X-A: b' },
      { headers: Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`x-${index}`, 'a'])) },
      { headers: { 'X-A': 'a'.repeat(17_000) } },
    ]
    let next = 0
    device.serve(() => bad[next]!)
    for (; next < bad.length; next += 1) {
      const answer = await ask()
      assert.equal(answer.status, 502, JSON.stringify(bad[next]).slice(0, 80))
      assert.equal((JSON.parse(answer.text) as { code: string }).code, 'bad_device_response')
    }
    device.serve(() => ({ body: 'fine' }))
    assert.equal((await ask()).text, 'fine')
    assert.match(await harness.metrics(), /wmoc_gateway_bad_device_responses_total\{reason="status"\} 11/)
  })

  test('T2: the gateway frames by what it got, whatever the device says', async () => {
    const { device, ask } = await served()
    for (const lie of [
      { 'Content-Length': '3' },
      { 'Content-Length': '999' },
      { 'Transfer-Encoding': 'chunked' },
      { 'Content-Length': ['1', '2'] },
    ]) {
      device.serve(() => ({ headers: { ...lie, Connection: 'close, x-lost', 'X-Lost': '1' }, body: 'hello' }))
      const answer = await ask()
      assert.equal(answer.text, 'hello')
      assert.equal(answer.headers['content-length'], '5')
      assert.equal(answer.headers['transfer-encoding'], undefined)
      assert.equal(answer.headers['x-lost'], undefined)
    }
    device.serve(() => ({ status: 204, body: 'not allowed' }))
    const empty = await ask()
    assert.equal(empty.status, 204)
    assert.equal(empty.text, '')
  })

  test('T4: answers to requests that were not asked are dropped', async () => {
    const first = await served()
    const second = await served()
    const asked = first.ask()
    const request = await first.device.next('http_request')
    second.device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'stolen' })
    first.device.send({ type: 'http_response', id: 'guessed', status: 200, headers: {}, body: 'x' })
    first.device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'right' })
    first.device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'late' })
    assert.equal((await asked).text, 'right')
    assert.match(request.id, /^[A-Za-z0-9_-]{22}$/)
    await until(async () => /device_oddities_total\{kind="unknown_id"\} 3/.test(await harness.metrics()))
  })

  test('T5: chunks out of order never make a silent cut', async () => {
    const { device, ask } = await served()
    const early = ask()
    const one = await device.next('http_request')
    device.send({ type: 'http_response_chunk', id: one.id, body: 'x', more: true })
    assert.equal((await early).status, 502)
    assert.equal((await device.next('http_cancel')).id, one.id)

    const twice = ask()
    const two = await device.next('http_request')
    device.send({ type: 'http_response', id: two.id, status: 200, headers: {}, body: 'a', more: true })
    device.send({ type: 'http_response', id: two.id, status: 500, headers: {}, body: 'b', more: false })
    device.send({ type: 'http_response_chunk', id: two.id, body: 'c', more: false })
    const answer = await twice
    assert.equal(answer.status, 200)
    assert.equal(answer.text, 'ac')

    const broken = ask()
    const three = await device.next('http_request')
    device.send({ type: 'http_response', id: three.id, status: 200, headers: {}, body: 'a', more: true })
    device.send({ type: 'http_response_chunk', id: three.id, body: '?', bodyEncoding: 'base64', more: true })
    // Cut where the answer had begun; an error of its own where both came at once.
    const { isCut, status } = await broken
    assert.ok(isCut || status === 502)
  })

  test('T14: a device that floods is closed with 4429 and its neighbour goes on', async () => {
    const flood = await served()
    const neighbour = await served()
    neighbour.device.serve(() => ({ body: 'fine' }))
    for (let seq = 0; seq < 200; seq += 1)
      flood.device.send({ type: 'log', seq, items: [{ level: 'info', message: 'x' }] })
    assert.equal((await flood.device.closed).code, 4429)
    assert.equal((await neighbour.ask()).text, 'fine')
  })

  test('T19: a tunnel that breaks in the middle of a request fails it once and never sends it again', async () => {
    const { device, ask, known } = await served()
    const asked = ask({ method: 'POST', path: '/open-valve', body: 'x' })
    await device.next('http_request')
    device.stop()
    const answer = await asked
    assert.equal(answer.status, 502)
    assert.equal((JSON.parse(answer.text) as { code: string }).code, 'device_disconnected')
    const back = await harness.online(known)
    await assert.rejects(back.next('http_request', 300))
  })

  test('T20: an answer whose tunnel breaks is a cut transfer, never a short whole one', async () => {
    const { device, ask } = await served()
    const asked = ask()
    const request = await device.next('http_request')
    device.send({ type: 'http_response', id: request.id, status: 200, headers: {}, body: 'half', more: true })
    await new Promise((resolve) => setTimeout(resolve, 50))
    device.stop()
    const answer = await asked
    assert.equal(answer.text, 'half')
    assert.equal(answer.isCut, true)
  })

  test('R1: whatever devices and people send, the series stay few', async () => {
    const { device, ask } = await served()
    device.serve((request) => ({
      status: 200 + (Number(request.path.slice(1)) % 400),
      headers: { 'X-Id': request.path },
    }))
    for (let index = 0; index < 300; index += 1)
      await ask({ path: `/${index}`, method: index % 2 ? 'GET' : 'PUT' })
    const series = (await harness.metrics()).split('\n').filter((line) => line.startsWith('wmoc_'))
    assert.ok(series.length < 600, `${series.length} series`)
  })
})

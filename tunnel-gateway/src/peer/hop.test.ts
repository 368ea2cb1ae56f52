import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import { WebSocket } from 'ws'
import { PORTAL_HOST, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { answer, onlineV2 } from '#src/testing/raw-device-v2.ts'
import type { RawDeviceV2 } from '#src/testing/raw-device-v2.ts'
import { startHops } from './testing/hops.ts'
import type { Hops } from './testing/hops.ts'

suite('requests that arrive at another shard', () => {
  let hops: Hops
  let owner: Harness
  let other: Harness
  const devices: RawDeviceV2[] = []

  before(async () => {
    hops = await startHops()
    ;({ owner, other } = hops)
  })
  after(async () => {
    for (const device of devices) device.stop()
    assert.deepEqual((await owner.status())['invariants'], [])
    assert.deepEqual((await other.status())['invariants'], [])
    await hops.stop()
  })

  /** A device of dialect v2 on its own shard. */
  async function v2(hello: Partial<Hello> = { rx_window: 65_536, rx_budget: 1_048_576 }) {
    const known = hops.controllerOf(owner)
    const line = await onlineV2(owner.port, known, hello)
    devices.push(line)
    return { id: known.record.controllerId, known, line }
  }

  const comparable = (headers: readonly string[]) =>
    headers.filter((_, index) => !/^(server-timing|date)$/i.test(headers[index - (index % 2)]!))

  test('dialect v1: request and answer are the same as without the hop, byte for byte', async () => {
    const known = hops.controllerOf(owner)
    const line = await owner.online(known)
    const body = randomBytes(5_000)
    line.serve((request) => ({
      status: 201,
      headers: {
        'x-path': request.path,
        'x-method': request.method,
        'x-ü': 'ж',
        'set-cookie': ['a=1', 'b=2'],
      },
      body: request.body === '' ? 'empty' : request.body,
      ...(request.bodyEncoding === 'base64' ? { bodyEncoding: 'base64' as const } : {}),
    }))
    const refused = await other.api(hops.person, known.record.controllerId)
    assert.equal(refused.status, 502)
    line.serve((request) => ({
      status: 201,
      headers: {
        'x-path': request.path,
        'x-method': request.method,
        'x-text': 'ж',
        'set-cookie': ['a=1', 'b=2'],
      },
      body: request.body === '' ? 'empty' : request.body,
      ...(request.bodyEncoding === 'base64' ? { bodyEncoding: 'base64' as const } : {}),
    }))
    for (const given of [{}, { path: '/a%2Fb?c=d', method: 'POST', body }, { method: 'HEAD' }]) {
      const local = await owner.api(hops.person, known.record.controllerId, given)
      const remote = await other.api(hops.person, known.record.controllerId, given)
      assert.equal(remote.status, 201)
      assert.deepEqual(remote.body, local.body)
      assert.deepEqual(comparable(remote.rawHeaders), comparable(local.rawHeaders))
    }
    const big = await other.api(hops.person, known.record.controllerId, {
      method: 'POST',
      body: randomBytes(20_000),
    })
    assert.equal(big.status, 413)
  })

  test('dialect v2: long bodies, trailers and lengths pass both ways', async () => {
    const { id, line } = await v2()
    const body = randomBytes(3_000_000)
    line.serve((asked) => {
      asked.stream.respond({ status: 200, headers: ['content-type', 'x/y', 'trailer', 'x-sum'] }, false)
      void until(() => asked.log.includes('end')).then(() => {
        asked.stream.write(Buffer.concat(asked.body))
        asked.stream.end(['x-sum', String(asked.body.length > 1)])
      })
    })
    const response = await hops.begin(other, id, { method: 'PUT', body })
    const pieces = (await response.toArray()) as Buffer[]
    assert.deepEqual(Buffer.concat(pieces), body)
    assert.equal(line.asked.at(-1)!.request.method, 'PUT')

    line.serve((asked) => {
      asked.stream.respond(
        { status: 206, headers: ['content-length', '4', 'content-range', 'bytes 0-3/9'] },
        false,
      )
      asked.stream.write(Buffer.from('abcd'))
      asked.stream.end()
    })
    const part = await other.api(hops.person, id, { headers: { range: 'bytes=0-3' } })
    assert.deepEqual([part.status, part.text, part.headers['content-length']], [206, 'abcd', '4'])
    line.serve((asked) => asked.stream.respond({ status: 204, headers: [] }, true))
    assert.equal((await other.api(hops.person, id, { method: 'DELETE' })).status, 204)
    line.serve((asked) => asked.stream.respond({ status: 304, headers: ['etag', '"a"'] }, true))
    const same = await other.api(hops.person, id, { headers: { 'if-none-match': '"a"' } })
    assert.deepEqual([same.status, same.headers.etag], [304, '"a"'])
  })

  test('an answer before the end of the request ends both, and leaves the link in order', async () => {
    const { id, line } = await v2()
    line.serve((asked) => answer(asked, 'too much', 413))
    const whole = await other.api(hops.person, id, { method: 'POST', body: randomBytes(2_000_000) })
    assert.deepEqual([whole.status, whole.text], [413, 'too much'])
    await until(async () => (await owner.status())['serving'] === 0)
  })

  test('events pass piece by piece, and the device hears at once when the user leaves', async () => {
    const { id, line } = await v2()
    line.serve(({ stream }) =>
      stream.respond({ status: 200, headers: ['content-type', 'text/event-stream'] }, false),
    )
    const response = await hops.begin(other, id)
    const [asked] = line.asked
    for (const text of ['data: 1\n\n', 'data: 2\n\n']) {
      asked!.stream.write(Buffer.from(text))
      const [bytes] = (await once(response, 'data')) as [Buffer]
      assert.equal(bytes.toString(), text)
    }
    response.destroy()
    await until(() => asked!.log.includes('reset 1'))
  })

  test('WebSockets pass both ways, with their close codes', async () => {
    const { id, line } = await v2()
    line.serve(({ stream }) => stream.respond({ status: 101, headers: [] }, false))
    const user = new WebSocket(`ws://127.0.0.1:${other.port}/c/${id}/ws`, {
      headers: { host: PORTAL_HOST, authorization: `Bearer ${hops.person.accessToken}` },
    })
    await once(user, 'open')
    const [asked] = line.asked
    assert.equal(asked!.kind, 'websocket')
    user.send('hello')
    const long = randomBytes(200_000)
    user.send(long)
    await until(() => asked!.log.includes('message text hello'))
    await until(() => asked!.log.some((entry) => /^message binary \d+$/.test(entry)))
    asked!.stream.message(Buffer.from('hi'), false)
    const [text] = (await once(user, 'message')) as [Buffer]
    assert.equal(text.toString(), 'hi')
    asked!.stream.message(long, true)
    const [bytes] = (await once(user, 'message')) as [Buffer]
    assert.deepEqual(bytes, long)
    user.close(4_001, 'enough')
    await until(() => asked!.log.includes('closed 4001'))
    asked!.stream.close(4_001, '')
    await until(async () => (await owner.status())['serving'] === 0)
  })

  test('T20: a link that is cut in the middle of an answer cuts the answer', async () => {
    const { id, line } = await v2()
    line.serve(({ stream }) => {
      stream.respond({ status: 200, headers: ['content-type', 'text/plain'] }, false)
      stream.write(Buffer.from('the first half'))
    })
    const response = await hops.begin(other, id)
    await once(response, 'data')
    const [asked] = line.asked
    hops.cable.cut()
    await until(() => response.closed)
    assert.equal(response.complete, false)
    await until(() => asked!.log.includes('reset 1'))
    await hops.linked()
    // Nothing of the past is left: the next request is served.
    line.serve((again) => answer(again, 'whole'))
    assert.equal((await other.api(hops.person, id)).text, 'whole')
  })

  test('T19: a request that a device may have got is not sent again when the link is cut', async () => {
    const { id, line } = await v2()
    line.serve(() => undefined)
    const asking = other.api(hops.person, id, { method: 'POST', body: 'open the valve' })
    await until(() => line.asked[0]?.log.includes('end') === true)
    hops.cable.cut()
    const answered = await asking
    assert.equal(answered.status, 502)
    await hops.linked()
    line.serve((asked) => answer(asked, 'open'))
    assert.equal((await other.api(hops.person, id)).text, 'open')
    assert.deepEqual(
      line.asked.map(({ request }) => request.method),
      ['POST', 'GET'],
    )
  })

  test('T11, T12: a slow reader costs little memory on both shards, and nobody else', async () => {
    const { id, line } = await v2()
    let sent = 0
    line.serve(({ stream, request }) => {
      stream.respond({ status: 200, headers: ['content-type', 'x/y'] }, false)
      if (request.path === '/small') {
        stream.write(Buffer.from('small'))
        return stream.end()
      }
      const timer = setInterval(() => {
        if (stream.isOver) return clearInterval(timer)
        while (stream.queuedBytes < 65_536) {
          stream.write(Buffer.alloc(16_384))
          sent += 16_384
        }
      }, 5)
    })
    const slow = await Promise.all([1, 2, 3].map(() => hops.begin(other, id, { path: '/endless' })))
    for (const response of slow) response.pause()
    let last = -1
    await until(async () => {
      const isStill = last === sent
      last = sent
      await sleep(300)
      return isStill
    })
    const held = async (shard: Harness) => (await shard.status())['heldBytes'] as number
    assert.ok((await held(owner)) + (await held(other)) <= 3 * 524_288)
    assert.equal((await other.api(hops.person, id, { path: '/small' })).text, 'small')
    for (const response of slow) response.destroy()
    await until(async () => (await owner.status())['serving'] === 0)
    await until(async () => (await held(owner)) + (await held(other)) === 0)
  })

  test('P9: what only shards say to each other can be said by neither users nor devices', async () => {
    const { id, line } = await v2()
    const victim = await v2()
    line.serve(({ stream }) => stream.respond({ status: 200, headers: [':epoch', '1', 'x-a', 'b'] }, true))
    assert.equal((await other.api(hops.person, id)).status, 502)
    line.serve((asked) => answer(asked, 'mine'))
    victim.line.serve((asked) => answer(asked, 'not yours'))
    const forged = {
      'x-wmoc-controller': victim.id,
      'x-wmoc-epoch': '1',
      via: '1.1 gateway-0',
      forwarded: 'for=x',
    }
    const answered = await other.api(hops.person, id, { headers: forged })
    assert.equal(answered.text, 'mine')
    const names = line.asked.at(-1)!.request.headers.filter((_, index) => index % 2 === 0)
    for (const name of names) assert.doesNotMatch(name, /^:|^x-wmoc|^via$|^forwarded$/)
  })
})

/** What a gateway owes a device of dialect v2, and the person behind it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import { FLAG, FRAME, RESET } from '@wmoc/protocol/v2/frames'
import type { Hello } from '@wmoc/protocol/v2/handshake'
import { expect, expectThat, Mismatch, NotApplicable, within, type Case } from '#src/case.ts'
import { connectRaw, eventually, openSocket, type Asked, type RawDevice } from '#src/gateway/raw-device.ts'
import { expectPattern, pattern } from '#src/pattern.ts'
import { Broken, collect, type Ask, type Reply, type Transport } from '#src/transports/transport.ts'

const SOON_MS = 15_000
const QUIET_MS = 500

export interface GatewayBench {
  /** ws://host:port/tunnel */
  readonly tunnelUrl: string
  readonly credentials: { readonly controller_id: string; readonly secret: string }
  /** The controller's owner. */
  readonly user: Transport
}

/** Runs with a device that announced `hello`, and ends its connection. */
async function withDevice(
  bench: GatewayBench,
  hello: Hello,
  run: (device: RawDevice) => Promise<void>,
): Promise<void> {
  const credentials = { ...bench.credentials, ...hello.credentials }
  const device = await connectRaw(bench.tunnelUrl, { ...hello, credentials })
  try {
    await run(device)
  } finally {
    device.stop()
    await device.closed
  }
}

/** Something that ends the connection, sent before HELLO or after WELCOME. */
function closeCase(
  id: string,
  title: string,
  codes: readonly number[],
  message: string | Buffer,
  isGreeted: boolean,
): Case<GatewayBench> {
  return {
    id: `gateway-${id}`,
    title: `${title} closes the tunnel with ${codes.join(' or ')}`,
    spec: 'protocol: close codes',
    needs: [],
    async run(bench) {
      const judge = async ({ socket, closed }: Pick<RawDevice, 'socket' | 'closed'>) => {
        socket.send(message)
        const code = await within('the close', SOON_MS, closed)
        expectThat('close code', codes.includes(code), codes.join(' or '), code)
      }
      if (isGreeted) return withDevice(bench, {}, judge)
      await judge(await openSocket(bench.tunnelUrl))
    },
  }
}

function ok(asked: Asked, body = 'ok'): void {
  asked.stream.respond({ status: 200, headers: ['content-type', 'text/plain'] }, false)
  asked.stream.write(Buffer.from(body))
  asked.stream.end()
}

/** The status that the user gets while `answer` deals with the request. */
async function statusFor(
  bench: GatewayBench,
  device: RawDevice,
  answer: (asked: Asked) => void,
  ask: Ask = { path: '/' },
): Promise<Reply> {
  const reply = bench.user.ask(ask)
  answer(await device.request(0))
  return within('an answer for the user', SOON_MS, reply)
}

async function mustBreak(body: AsyncIterable<Uint8Array>): Promise<void> {
  try {
    await within('the end', SOON_MS, collect(body))
  } catch (error) {
    if (error instanceof Broken) return
    throw error
  }
  throw new Mismatch('the user’s transfer', 'broken', 'ended as if whole')
}

const frame = (
  type: keyof typeof FRAME,
  payload: string,
  options: { flags?: number; stream?: number; seq?: number } = {},
) => Buffer.from(encodeFrame(FRAME[type], Buffer.from(payload, 'latin1'), options))

export const GATEWAY_CASES: readonly Case<GatewayBench>[] = [
  closeCase(
    'first-frame',
    'a frame before HELLO',
    [1008, 4400],
    frame('data', 'x', { stream: 1, seq: 1 }),
    false,
  ),
  closeCase('hello-json', 'a HELLO that is no JSON', [1007], frame('hello', '{"a"'), false),
  closeCase('hello-shape', 'a HELLO that is none', [4400], frame('hello', '{"token":7}'), false),
  closeCase(
    'hello-secret',
    'a secret that is wrong',
    [4401],
    frame(
      'hello',
      JSON.stringify({
        credentials: {
          controller_id: '00000000-0000-4000-8000-000000000000',
          secret: 'wrong-secret-wrong-secret',
        },
      }),
    ),
    false,
  ),
  closeCase('text', 'a text message', [1003, 1008, 4400], '{"type":"register"}', false),
  closeCase('too-big', 'a message beyond maxMessageBytes', [1009], Buffer.alloc(300_000), true),
  closeCase('type', 'an unknown frame type', [4400], Buffer.from([0xfe, 0, 0, 0, 0, 0, 0, 0]), true),
  closeCase('truncated', 'half a frame', [4400], Buffer.from([5, 0, 0, 1, 0, 1, 0xff, 0xff, 0]), true),
  closeCase('seq', 'a skipped seq', [4400], frame('rst', '\0\x01', { stream: 1, seq: 9 }), true),
  closeCase(
    'stream',
    'a body for a stream that is not open',
    [4400],
    frame('data', 'x', { stream: 77, seq: 1 }),
    true,
  ),
  closeCase(
    'open',
    'a stream opened by the device',
    [4400],
    frame('req', '\x80\x01/', { flags: FLAG.fin, stream: 1, seq: 1 }),
    true,
  ),
  closeCase('credit', 'more credit than can be held', [4400], frame('credit', '\xff\xff\xff\xff\0\0'), true),
  {
    id: 'gateway-welcome',
    title: 'WELCOME names the controller, an epoch and what the gateway takes',
    spec: 'protocol v2: Welcome',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async ({ welcome }) => {
        expect('controllerId', welcome.controllerId, bench.credentials.controller_id)
        expectThat(
          'rx_window and rx_budget',
          welcome.rx_window > 0 && welcome.rx_budget >= welcome.rx_window,
          'room',
          welcome,
        )
        expect('credentials of one who has them', welcome.credentials, undefined)
      }),
  },
  {
    id: 'gateway-ping',
    title: 'PING is answered by PONG with the same octets',
    spec: 'protocol v2: ping, pong',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async ({ socket, messages }) => {
        socket.send(frame('ping', 'kit-ping'))
        await eventually('PONG', () =>
          messages
            .flat()
            .some(
              ({ type, payload }) => type === FRAME.pong && Buffer.from(payload).toString() === 'kit-ping',
            ),
        )
      }),
  },
  {
    id: 'gateway-ack',
    title: 'a batch of metrics is acknowledged with its seq',
    spec: 'protocol: metrics, ack',
    needs: [],
    run: (bench) =>
      withDevice(bench, { credentials: { boot_id: crypto.randomUUID() } }, async (device) => {
        device.say({ type: 'metrics', seq: 41, items: [{ type: 'conformance', value: 1 }] })
        expect('ack', await device.heard('ack'), { type: 'ack', seq: 41 })
      }),
  },
  {
    id: 'gateway-max-streams',
    title: 'one request at a time reaches a device that takes one',
    spec: 'protocol v2: max_streams',
    needs: [],
    run: (bench) =>
      withDevice(bench, { credentials: { max_streams: 1 } }, async (device) => {
        const replies = [bench.user.ask({ path: '/1' }), bench.user.ask({ path: '/2' })]
        ok(await device.request(0))
        await sleep(QUIET_MS / 5)
        ok(await device.request(1))
        for (const reply of await Promise.all(replies)) {
          expect('status', reply.status, 200)
          await collect(reply.body)
        }
        const held = await Promise.allSettled([
          bench.user.ask({ path: '/3' }),
          bench.user.ask({ path: '/4' }),
          heldAt(device),
        ])
        expect('requests at the device at once', held[2].status === 'fulfilled' ? held[2].value : null, 1)
      }),
  },
  {
    id: 'gateway-max-chunk',
    title: 'no frame and no message is longer than the device takes',
    spec: 'protocol v2: max_chunk, max_message',
    needs: [],
    run: (bench) =>
      withDevice(
        bench,
        { max_chunk: 300, max_message: 1_024, rx_window: 65_536, rx_budget: 65_536 },
        async (device) => {
          const reply = bench.user.ask({ method: 'POST', path: '/up', body: Buffer.alloc(20_000) })
          const asked = await device.request(0)
          await eventually('the whole body', () => asked.isEnded)
          ok(asked)
          await collect((await reply).body)
          const frames = device.messages.flat()
          const longest = Math.max(
            ...frames.filter(({ type }) => type === FRAME.data).map(({ payload }) => payload.length),
          )
          const message = Math.max(
            ...device.messages
              .slice(1)
              .map((one) => one.reduce((sum, { payload }) => sum + 8 + payload.length, 0)),
          )
          expectThat('longest DATA', longest <= 300, 'at most 300', longest)
          expectThat('longest message', message <= 1_024, 'at most 1024', message)
          expect('octets', asked.bytes, 20_000)
        },
      ),
  },
  {
    id: 'gateway-window',
    title: 'an upload stops where the device’s credit ends, and goes on with more',
    spec: 'protocol v2: credit',
    needs: [],
    run: (bench) =>
      withDevice(bench, { rx_window: 1_000, rx_budget: 8_000 }, async (device) => {
        const reply = bench.user.ask({ method: 'POST', path: '/up', body: Buffer.alloc(1_500) })
        const asked = await device.request(0)
        await eventually('the credit’s worth', () => asked.bytes >= 1_000)
        await sleep(QUIET_MS)
        expect('octets', asked.bytes, 1_000)
        asked.stream.consumed(1_000)
        await eventually('the rest', () => asked.isEnded)
        ok(asked)
        expect('status', (await reply).status, 200)
      }),
  },
  {
    id: 'gateway-header-diet',
    title: 'a request’s head is trimmed to max_req_header',
    spec: 'protocol v2: max_req_header',
    needs: [],
    run: (bench) =>
      withDevice(bench, { credentials: { max_req_header: 256 } }, async (device) => {
        const headers = [
          'accept',
          'text/html',
          'accept-language',
          `de,${'x'.repeat(400)}`,
          'user-agent',
          'u'.repeat(500),
        ]
        const reply = await statusFor(bench, device, ok, { path: '/', headers })
        const bytes = device.asked[0]!.head.headers.reduce((sum, text) => sum + text.length, 0)
        expectThat('octets of names and values', bytes <= 256, 'at most 256', bytes)
        expect('status', reply.status, 200)
      }),
  },
  {
    id: 'gateway-request-trailers',
    title: 'trailers of a request come to the device after its body',
    spec: 'protocol v2: end; RFC 9110 section 6.5',
    needs: ['trailers'],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const trailers = ['x-sum', '6']
        const reply = bench.user.ask({ method: 'POST', path: '/up', body: Buffer.from('abc'), trailers })
        const asked = await device.request(0)
        await eventually('the end', () => asked.isEnded)
        ok(asked)
        expect('status', (await reply).status, 200)
        expect('trailers', asked.trailers, trailers)
      }),
  },
  {
    id: 'gateway-cancel',
    title: 'the device hears RST when the user leaves',
    spec: 'protocol v2: rst',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const leaving = new AbortController()
        const reply = bench.user.ask({ path: '/slow', signal: leaving.signal }).catch(() => null)
        const asked = await device.request(0)
        leaving.abort()
        await eventually('RST', () => asked.reset !== null)
        expect('code', asked.reset, RESET.cancelled)
        await reply
      }),
  },
  {
    id: 'gateway-cut',
    title: 'an answer that the device resets is broken for the user',
    spec: 'protocol: an interrupted transfer is an error at the other end',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const reply = await statusFor(bench, device, ({ stream }) => {
          stream.respond({ status: 200, headers: [] }, false)
          stream.write(Buffer.alloc(2_000))
          setTimeout(() => stream.reset(RESET.interrupted), 200)
        })
        await mustBreak(reply.body)
      }),
  },
  {
    id: 'gateway-lost',
    title: 'an answer whose device is gone is broken for the user',
    spec: 'protocol: an interrupted transfer is an error at the other end',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const reply = await statusFor(bench, device, ({ stream }) => {
          stream.respond({ status: 200, headers: [] }, false)
          stream.write(Buffer.alloc(2_000))
          setTimeout(() => device.socket.terminate(), 200)
        })
        await mustBreak(reply.body)
      }),
  },
  {
    id: 'gateway-refused',
    title: 'a request that the device resets before its answer is 502 or 503',
    spec: 'protocol v2: rst',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const { status } = await statusFor(bench, device, ({ stream }) => stream.reset(RESET.refused))
        expectThat('status', status === 502 || status === 503, '502 or 503', status)
      }),
  },
  {
    id: 'gateway-bad-head',
    title: 'an answer whose head breaks the rules is 502',
    spec: 'protocol v2: a frame that makes no sense on its stream costs the stream',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (device) => {
        const { status } = await statusFor(bench, device, ({ stream }) =>
          stream.respond({ status: 99, headers: ['content-type', 'text/plain'] }, true),
        )
        expect('status', status, 502)
      }),
  },
  {
    id: 'gateway-resume',
    title: 'an answer goes on over the next connection where the last one was lost',
    spec: 'protocol v2: resume',
    needs: [],
    run: (bench) =>
      withDevice(bench, { credentials: { features: ['resume'] } }, async (device) => {
        const { session: name } = device.welcome
        if (!name) throw new NotApplicable('the gateway offers no session')
        const body = pattern(200_000)
        const answered = bench.user.ask({ path: '/' }).then((reply) => collect(reply.body))
        const { stream } = await device.request(0)
        stream.respond({ status: 200, headers: [] }, false)
        stream.write(body.subarray(0, 120_000))
        await sleep(QUIET_MS / 5)
        device.socket.terminate()
        await device.closed
        device.session.mux?.suspend()
        stream.write(body.subarray(120_000))
        stream.end()
        const resume = { session: name, seq: device.session.mux?.lastSeq ?? 0 }
        const credentials = { ...bench.credentials, features: ['resume'] }
        const again = await connectRaw(bench.tunnelUrl, { credentials, resume }, device)
        expectThat('resumed', again.welcome.resumed !== undefined, 'the session', again.welcome)
        expect('epoch', again.welcome.epoch, device.welcome.epoch)
        expectPattern('the answer', await within('the rest', SOON_MS, answered), body.length)
        again.stop()
      }),
  },
  {
    id: 'gateway-superseded',
    title: 'a second connection of the same device takes over; the first is closed with 4409',
    spec: 'protocol: close codes',
    needs: [],
    run: (bench) =>
      withDevice(bench, {}, async (first) => {
        await withDevice(bench, {}, async (second) => {
          expect('close code of the first', await within('the close', SOON_MS, first.closed), 4409)
          expectThat('epoch', second.welcome.epoch > first.welcome.epoch, 'higher', second.welcome.epoch)
          expect('status', (await statusFor(bench, second, ok)).status, 200)
        })
      }),
  },
  {
    id: 'gateway-offline',
    title: 'a request to a controller that is away is answered soon, not 200',
    spec: 'protocol: no tunnel',
    needs: [],
    async run(bench) {
      await sleep(QUIET_MS)
      const { status } = await within('an answer', SOON_MS, bench.user.ask({ path: '/' }))
      expectThat('status', status >= 500, '502, 503 or 504', status)
    },
  },
]

/** Waits a moment, counts the requests that are here and not answered, answers all. */
async function heldAt(device: RawDevice): Promise<number> {
  await device.request(2)
  await sleep(QUIET_MS)
  const held = device.asked.length - 2
  ok(device.asked[2]!)
  ok(await device.request(3))
  return held
}

/** What a device of dialect v2 owes on the wire: credit, limits, and calm before frames that make no sense. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, expectThat, NotApplicable, within, type Case } from '#src/case.ts'
import type { DeviceConnection } from '#src/device/connection.ts'
import type { DeviceBench } from '#src/device/listener.ts'
import { decodeFrames, encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import { FRAME, RESET, V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { MuxStream, StreamHandler } from '@wmoc/protocol/v2/mux'
import { answers } from './device.ts'
import { page } from './requests.ts'

const SOON_MS = 10_000
const QUIET_MS = 400

/** A stream whose owner takes nothing and keeps count. */
function counter() {
  const heard = { bytes: 0, reset: 0, isOver: false, status: 0 }
  const over = Promise.withResolvers<void>()
  const head = Promise.withResolvers<void>()
  const handler: StreamHandler = {
    head({ status }) {
      heard.status = status
      head.resolve()
    },
    data: (bytes) => void (heard.bytes += bytes.length),
    end() {},
    writable() {},
    reset(code) {
      heard.reset = code
      head.resolve()
    },
    over() {
      heard.isOver = true
      over.resolve()
    },
  }
  return { heard, handler, over: over.promise, head: head.promise }
}

function open(connection: DeviceConnection, path: string, handler: StreamHandler): MuxStream {
  const stream = connection.mux?.open({ method: 'GET', path, headers: [] }, 'request', true, handler)
  if (!stream) throw new NotApplicable('no free stream')
  return stream
}

/** Waits until the count stands still. */
async function settled(count: () => number): Promise<number> {
  for (let before = -1; before !== count(); await sleep(QUIET_MS)) before = count()
  return count()
}

/** A message that ends the connection: the device closes it and comes back by itself. */
function faultCase(
  id: string,
  title: string,
  message: (connection: DeviceConnection) => Uint8Array | string,
): Case<DeviceBench> {
  return {
    id: `fault-${id}`,
    title: `${title} ends the connection, not the device`,
    spec: 'protocol: a fault of the connection closes it',
    needs: ['v2'],
    async run(bench) {
      const connection = await bench.fresh()
      const coming = bench.next()
      connection.socket.send(message(connection))
      await within('the close', SOON_MS, connection.closed)
      await coming
      await answers(bench)
    },
  }
}

/** The first frame of a stream on a fresh connection. */
const first = (type: keyof typeof FRAME, payload: Uint8Array, flags = 0, stream = 1, seq = 1) =>
  encodeFrame(FRAME[type], payload, { flags, stream, seq })

export const DEVICE_V2_CASES: readonly Case<DeviceBench>[] = [
  {
    id: 'hello-limits',
    title: 'what HELLO announces is within the limits',
    spec: 'protocol v2: Hello',
    needs: ['v2'],
    async run(bench) {
      const { hello } = await bench.connection()
      const {
        max_chunk: chunk = V2_LIMITS.defaultMaxChunk,
        max_message: message = V2_LIMITS.defaultMaxMessage,
      } = hello ?? {}
      expectThat(
        'max_chunk',
        chunk + V2_LIMITS.headerBytes <= message,
        'a frame fits a message',
        `${chunk} and ${message}`,
      )
    },
  },
  {
    id: 'frame-ping',
    title: 'PING is answered by PONG with the same octets',
    spec: 'protocol v2: ping, pong',
    needs: ['v2'],
    async run(bench) {
      const { socket } = await bench.connection()
      const payload = Buffer.from('kit-ping')
      const pong = new Promise<void>((resolve) => {
        socket.on('message', (data: Buffer) => data.includes(payload) && data[0] === FRAME.pong && resolve())
      })
      socket.send(encodeFrame(FRAME.ping, payload))
      await within('PONG', SOON_MS, pong)
    },
  },
  {
    id: 'credit-stream',
    title: 'a stream sends as many octets as it has credit, then waits',
    spec: 'protocol v2: credit',
    needs: ['v2', 'page'],
    async run(bench) {
      const connection = await bench.fresh({ window: 1_000, budget: 100_000 })
      const { heard, handler, over } = counter()
      const stream = open(connection, page('bytes/5000'), handler)
      expect('octets', await settled(() => heard.bytes), 1_000)
      stream.consumed(1_000)
      expect('octets after more credit', await settled(() => heard.bytes), 2_000)
      for (let at = 0; at < 3; at += 1) {
        stream.consumed(1_000)
        await settled(() => heard.bytes)
      }
      await within('the end', SOON_MS, over)
      expect('octets in the end', heard.bytes, 5_000)
      expect('faults', connection.faults, [])
    },
  },
  {
    id: 'credit-connection',
    title: 'all streams together send as many octets as the connection has credit',
    spec: 'protocol v2: credit',
    needs: ['v2', 'page'],
    async run(bench) {
      const connection = await bench.fresh({ window: 4_000, budget: 6_000 })
      const counters = [counter(), counter(), counter()]
      const streams = counters.map(({ handler }) => open(connection, page('bytes/5000'), handler))
      const sum = () => counters.reduce((total, { heard }) => total + heard.bytes, 0)
      expect('octets', await settled(sum), 6_000)
      for (const stream of streams) stream.reset(RESET.cancelled)
      expect('faults', connection.faults, [])
    },
  },
  {
    id: 'reset-answered',
    title: 'RST is answered, and the place is free',
    spec: 'protocol v2: rst',
    needs: ['v2', 'page'],
    async run(bench) {
      const connection = await bench.connection()
      for (let at = 0; at < 20; at += 1) {
        const { handler, over, head } = counter()
        const stream = open(connection, page('events/0?every=20'), handler)
        await within('the head', SOON_MS, head)
        stream.reset(RESET.cancelled)
        await within('the answer to RST', SOON_MS, over)
      }
    },
  },
  {
    id: 'max-streams',
    title: 'a stream beyond max_streams is reset with `refused`, the others go on',
    spec: 'protocol v2: maxStreams, RESET.refused',
    needs: ['v2', 'page'],
    async run(bench) {
      const connection = await bench.fresh({ surplus: 1 })
      const limit = connection.hello?.credentials?.max_streams ?? V2_LIMITS.defaultMaxStreams
      if (limit > 64) throw new NotApplicable(`max_streams of ${limit} is more than a case fills`)
      const busy = Array.from({ length: limit }, () => counter())
      const streams = busy.map(({ handler }) => open(connection, page('events/0?every=50'), handler))
      await within('the heads', SOON_MS, Promise.all(busy.map(({ head }) => head)))
      const surplus = counter()
      open(connection, page(''), surplus.handler)
      await within('the end of the surplus one', SOON_MS, surplus.over)
      expect('its reset', surplus.heard.reset, RESET.refused)
      expect('others that were reset', busy.filter(({ heard }) => heard.reset !== 0).length, 0)
      for (const stream of streams) stream.reset(RESET.cancelled)
    },
  },
  {
    id: 'malformed-head',
    title: 'a request head that makes no sense costs its stream only',
    spec: 'protocol v2: a frame that makes no sense on its stream costs the stream',
    needs: ['v2'],
    async run(bench) {
      const { socket, closed } = await bench.fresh()
      const reset = new Promise<void>((resolve) => {
        socket.on('message', (data: Buffer) => {
          const frames = decodeFrames(data)
          if (Array.isArray(frames) && frames.some(({ type }) => type === FRAME.rst)) resolve()
        })
      })
      socket.send(first('req', Buffer.from([0x7f, 0x41]), 1))
      await within(
        'RST',
        SOON_MS,
        Promise.race([reset, closed.then((code) => expect('the connection', `closed ${code}`, 'open'))]),
      )
    },
  },
  faultCase('type', 'an unknown frame type', () => Buffer.from([0xfe, 0, 0, 0, 0, 0, 0, 0])),
  faultCase('flags', 'an unknown flag', () => first('data', Buffer.from('x'), 0x40)),
  faultCase('length', 'a length beyond the message', () => Buffer.from([5, 0, 0, 1, 0, 1, 0xff, 0xff, 0])),
  faultCase('header', 'half a header', () => Buffer.from([5, 0, 0])),
  faultCase('seq', 'a seq that was skipped', () => first('req', Buffer.from('\x80\x01/', 'latin1'), 1, 1, 7)),
  faultCase('stream', 'a body for a stream that is not open', () => first('data', Buffer.from('x'), 0, 9)),
  faultCase('credit', 'more credit than can be held', () =>
    encodeFrame(FRAME.credit, Buffer.from([0xff, 0xff, 0xff, 0xff, 0, 0])),
  ),
  faultCase('text', 'a text message', () => '{"type":"http_request"}'),
  {
    id: 'noise',
    title: 'fifty messages of noise leave the device well',
    spec: 'protocol v2: strict',
    needs: ['v2'],
    async run(bench) {
      for (let at = 0; at < 5; at += 1) {
        const { socket, closed } = await bench.connection()
        const noise = Buffer.from(Array.from({ length: 40 }, (_, index) => (index * 73 + at * 29) & 0xff))
        for (let count = 0; count < 10; count += 1) socket.send(noise)
        await within('the close', SOON_MS, closed)
      }
      await answers(bench)
    },
  },
]

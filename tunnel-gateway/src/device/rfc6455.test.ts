import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { after, before, suite, test } from 'node:test'
import { encodeFrame } from '@wmoc/protocol/v2/frame-codec'
import { FRAME } from '@wmoc/protocol/v2/frames'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'

type Dialect = 'v1' | 'v2'
interface Came {
  readonly opcode: number
  readonly payload: Buffer
}

const TEXT = 1
const BINARY = 2
const CLOSE = 8
const PING = 9
const PONG = 10
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d])

interface FrameOptions {
  fin?: boolean
  rsv?: number
  mask?: Buffer | null
  /** Said instead of the true length. */
  claimed?: bigint
}

/** A client's frame, with whatever is wrong about it. */
function frame(opcode: number, payload: Uint8Array | string = '', options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, mask = MASK, claimed } = options
  const bytes = Buffer.from(payload)
  const length = claimed ?? BigInt(bytes.length)
  const masked = mask === null ? 0 : 0x80
  const extended = length > 65_535n || claimed !== undefined ? 8 : length > 125n ? 2 : 0
  const head = Buffer.alloc(2 + extended)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = masked | (extended === 8 ? 127 : extended === 2 ? 126 : Number(length))
  if (extended === 2) head.writeUInt16BE(Number(length), 2)
  if (extended === 8) head.writeBigUInt64BE(length, 2)
  if (mask === null) return Buffer.concat([head, bytes])
  return Buffer.concat([head, mask, bytes.map((byte, at) => byte ^ mask[at % 4]!)])
}

function closing(code: number, reason: Uint8Array | string = ''): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
}

suite('P15: /tunnel holds to RFC 6455', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness({ DEVICE_MESSAGES_PER_SECOND: '1000' })
  })
  after(() => harness.stop())

  /** A connection after the handshake, and what came on it since. */
  async function open(dialect: Dialect) {
    const socket: Socket = connect({ port: harness.port, host: '127.0.0.1', noDelay: true })
    socket.on('error', () => undefined)
    const state = { came: [] as Came[], isClosed: false, rest: Buffer.alloc(0) }
    socket.on('close', () => (state.isClosed = true))
    socket.write(
      'GET /tunnel HTTP/1.1\r\nHost: localhost:8080\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Protocol: wmoc.${dialect}\r\n\r\n`,
    )
    const [head] = (await once(socket, 'data')) as [Buffer]
    assert.match(head.toString(), /^HTTP\/1.1 101 .*Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/s)
    socket.on('data', (chunk: Buffer) => {
      state.rest = Buffer.concat([state.rest, chunk])
      take(state)
    })
    return Object.assign(state, {
      send: (...frames: Buffer[]) => socket.write(Buffer.concat(frames)),
      /** Octet by octet. */
      async drip(bytes: Buffer) {
        for (const byte of bytes) {
          socket.write(Buffer.from([byte]))
          await new Promise((resolve) => setImmediate(resolve))
        }
      },
      end: () => socket.destroy(),
      /** The code of the close frame that came; 1005: without one; the connection has ended. */
      async closeCode() {
        await until(() => state.isClosed)
        const close = state.came.find(({ opcode }) => opcode === CLOSE)
        if (close === undefined) return 1006
        return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0)
      },
    })
  }

  function take(state: { came: Came[]; rest: Buffer }): void {
    for (;;) {
      const { rest } = state
      const short = rest[1]! & 0x7f
      const start = short === 126 ? 4 : short === 127 ? 10 : 2
      if (rest.length < start) return
      assert.equal(rest[1]! & 0x80, 0, 'a server masks nothing')
      assert.equal(rest[0]! & 0x70, 0, 'no reserved bits')
      const length =
        short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short
      if (rest.length < start + length) return
      state.came.push({ opcode: rest[0]! & 15, payload: rest.subarray(start, start + length) })
      state.rest = rest.subarray(start + length)
    }
  }

  /** A message of the dialect, filled up with white space to `bytes`. */
  function message(
    dialect: Dialect,
    json: string,
    type: typeof FRAME.hello | typeof FRAME.event,
    bytes = 0,
  ): Buffer {
    const room = dialect === 'v2' ? 8 : 0
    const text = json.padEnd(bytes - room)
    return dialect === 'v1' ? Buffer.from(text) : Buffer.from(encodeFrame(type, Buffer.from(text)))
  }
  const opcodeOf = (dialect: Dialect) => (dialect === 'v1' ? TEXT : BINARY)
  const metrics = (dialect: Dialect, seq: number, bytes = 0) =>
    message(dialect, `{"type":"metrics","seq":${seq},"items":[{"type":"t","value":1}]}`, FRAME.event, bytes)

  async function registered(dialect: Dialect) {
    const known = harness.controlPlane.addController()
    const connection = await open(dialect)
    const credentials = { controller_id: known.record.controllerId, secret: known.secret }
    const said = JSON.stringify(dialect === 'v1' ? { type: 'register', credentials } : { credentials })
    connection.send(frame(opcodeOf(dialect), message(dialect, said, FRAME.hello)))
    await until(() => connection.came.length === 1)
    const acknowledged = (seq: number) =>
      until(() =>
        connection.came.some(({ payload }) => payload.toString('latin1').includes(`"ack","seq":${seq}}`)),
      )
    return Object.assign(connection, { acknowledged })
  }

  for (const dialect of ['v1', 'v2'] as const) {
    const opcode = opcodeOf(dialect)

    test(`${dialect}: messages of every form of length, whole, in fragments and octet by octet`, async () => {
      const device = await registered(dialect)
      let seq = 0
      for (const bytes of [
        125,
        126,
        127,
        128,
        4_096,
        ...(dialect === 'v1' ? [65_535, 65_536, 262_144] : [65_535]),
      ]) {
        device.send(frame(opcode, metrics(dialect, (seq += 1), bytes)))
        await device.acknowledged(seq)
      }
      const whole = metrics(dialect, (seq += 1))
      const parts = [
        whole.subarray(0, 10),
        whole.subarray(10, 10),
        whole.subarray(10, 11),
        whole.subarray(11),
      ]
      const fragments = parts.map((part, at) => frame(at === 0 ? opcode : 0, part, { fin: at === 3 }))
      device.send(...fragments)
      await device.acknowledged(seq)
      await device.drip(
        Buffer.concat([frame(opcode, metrics(dialect, (seq += 1))), frame(PING, 'still there')]),
      )
      await device.acknowledged(seq)
      await until(() =>
        device.came.some(
          ({ opcode: code, payload }) => code === PONG && payload.toString() === 'still there',
        ),
      )
      device.send(frame(opcode, metrics(dialect, (seq += 1)), { mask: Buffer.alloc(4) }))
      await device.acknowledged(seq)
      device.end()
    })

    test(`${dialect}: pings are answered in order, also within a message; pongs nobody asked for are ignored`, async () => {
      const device = await registered(dialect)
      const whole = metrics(dialect, 1)
      device.send(
        frame(PONG, 'unasked'),
        frame(PING),
        frame(PING, Buffer.alloc(125, 0xfe)),
        frame(opcode, whole.subarray(0, 20), { fin: false }),
        frame(PING, 'between'),
        frame(0, whole.subarray(20)),
        ...Array.from({ length: 10 }, (_, index) => frame(PING, `n${index}`)),
      )
      await device.acknowledged(1)
      const pongs = () =>
        device.came
          .filter(({ opcode: code }) => code === PONG)
          .map(({ payload }) => payload.toString('latin1'))
      await until(() => pongs().length === 13)
      const expected = [
        '',
        '\u00fe'.repeat(125),
        'between',
        ...Array.from({ length: 10 }, (_, index) => `n${index}`),
      ]
      assert.deepEqual(pongs(), expected)
      device.end()
    })

    test(`${dialect}: what the framing forbids closes with 1002, too much with 1009`, async () => {
      const start = () => frame(opcode, 'ab', { fin: false })
      const wrong: Record<string, [Buffer[], number]> = {
        'RSV1 in a message': [[frame(opcode, 'x', { rsv: 4 })], 1002],
        'RSV2 in a message': [[frame(opcode, 'x', { rsv: 2 })], 1002],
        'RSV3 in a ping': [[frame(PING, '', { rsv: 1 })], 1002],
        'all reserved bits in a close': [[frame(CLOSE, '', { rsv: 7 })], 1002],
        'a ping of 126 octets': [[frame(PING, Buffer.alloc(126))], 1002],
        'a fragmented ping': [[frame(PING, 'a', { fin: false })], 1002],
        'a fragmented pong': [[frame(PONG, 'a', { fin: false })], 1002],
        'a fragmented close': [[frame(CLOSE, closing(1000), { fin: false })], 1002],
        'a continuation of nothing': [[frame(0, 'x')], 1002],
        'a continuation of nothing, to go on': [[frame(0, 'x', { fin: false })], 1002],
        'a message within a message': [[start(), frame(opcode, 'x')], 1002],
        'no mask': [[frame(opcode, 'x', { mask: null })], 1002],
        'a close of one octet': [[frame(CLOSE, 'x')], 1002],
        'a close of 126 octets': [[frame(CLOSE, closing(1000, 'x'.repeat(124)))], 1002],
        'a length beyond 2^53': [[frame(opcode, '', { claimed: 1n << 60n })], 1009],
        'a length beyond 2^63': [[frame(opcode, '', { claimed: (1n << 64n) - 1n })], 1009],
        'a message over the limit': [[frame(opcode, '', { claimed: 262_145n })], 1009],
        'fragments over the limit': [
          [frame(opcode, Buffer.alloc(200_000), { fin: false }), frame(0, Buffer.alloc(62_145))],
          1009,
        ],
        'more fragments than anybody needs': [
          [start(), ...Array.from({ length: 1_100 }, () => frame(0, 'a', { fin: false }))],
          1008,
        ],
      }
      for (const code of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
        wrong[`opcode ${code}`] = [[frame(code, 'x')], 1002]
      for (const [name, [frames, code]] of Object.entries(wrong)) {
        const device = await open(dialect)
        device.send(...frames)
        assert.equal(await device.closeCode(), code, name)
      }
    })

    test(`${dialect}: a close is answered with its code, forbidden codes with 1002, and nothing counts after it`, async () => {
      for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
        const device = await open(dialect)
        device.send(frame(CLOSE, closing(code, 'why')))
        assert.equal(await device.closeCode(), code)
      }
      for (const code of [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535]) {
        const device = await open(dialect)
        device.send(frame(CLOSE, closing(code)))
        assert.equal(await device.closeCode(), 1002, String(code))
      }
      const silent = await open(dialect)
      silent.send(frame(CLOSE))
      assert.equal(await silent.closeCode(), 1005)
      const long = await open(dialect)
      long.send(frame(CLOSE, closing(1000, 'x'.repeat(123))))
      assert.equal(await long.closeCode(), 1000)
      const words = await open(dialect)
      words.send(frame(CLOSE, closing(1000, Buffer.from([0xce, 0xba, 0xe1, 0xed, 0xa0, 0x80]))))
      assert.equal(await words.closeCode(), 1007)

      const device = await registered(dialect)
      const stored = harness.controlPlane.ingested.length
      device.send(
        frame(CLOSE, closing(1000)),
        frame(opcode, metrics(dialect, 1)),
        frame(PING, 'x'),
        frame(CLOSE, closing(1001)),
      )
      assert.equal(await device.closeCode(), 1000)
      assert.equal(device.came.filter(({ opcode: code }) => code === CLOSE || code === PONG).length, 1)
      assert.equal(harness.controlPlane.ingested.length, stored)
    })
  }

  test('P15: text of dialect v1 is UTF-8 whatever its fragments, and else 1007', async () => {
    const device = await registered('v1')
    const words =
      '{"type":"log","seq":7,"items":[{"level":"info","message":"κόσμε \u{10ffff} \u{d7ff} \u{e000} €"}]}'
    const bytes = Buffer.from(words)
    device.send(
      ...Array.from(bytes, (byte, at) =>
        frame(at === 0 ? TEXT : 0, Buffer.from([byte]), { fin: at === bytes.length - 1 }),
      ),
    )
    await device.acknowledged(7)
    device.end()
    const bad = [
      [0xff],
      [0xfe, 0xfe, 0xff, 0xff],
      [0xc0, 0xaf],
      [0xe0, 0x80, 0xaf],
      [0xf0, 0x80, 0x80, 0xaf],
      [0xed, 0xa0, 0x80],
      [0xed, 0xbf, 0xbf],
      [0xf4, 0x90, 0x80, 0x80],
      [0xce],
      [0xe2, 0x82],
      [0x80],
    ]
    for (const octets of bad) {
      const whole = await open('v1')
      whole.send(frame(TEXT, Buffer.from([0x22, ...octets, 0x22])))
      assert.equal(await whole.closeCode(), 1007, octets.join())
      const split = await open('v1')
      split.send(
        frame(TEXT, Buffer.from([0x22, octets[0]!]), { fin: false }),
        frame(0, Buffer.from([...octets.slice(1), 0x22])),
      )
      assert.equal(await split.closeCode(), 1007, octets.join())
    }
  })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createMux } from './create-mux.ts'
import { createFrameReader, decodeFrames, encodeFrame, frameFault } from './frame-codec.ts'
import { FRAME, V2_LIMITS } from './frames.ts'
import {
  decodeRequestHead,
  decodeResponseHead,
  decodeTrailers,
  encodeRequestHead,
  encodeResponseHead,
  encodeTrailers,
  METHODS,
  NAMES,
} from './header-block.ts'

type HostileCase = { name: string; hex: string; fault: string | null; heard?: string[] }

const { cases }: { cases: HostileCase[] } = JSON.parse(
  readFileSync(new URL('../../vectors/v2-hostile.json', import.meta.url), 'utf8'),
)

/** A mux with one request out, whose owner writes down what it hears. */
function opened(isLast = true) {
  const heard: string[] = []
  const mux = createMux({
    role: 'opener',
    maxStreams: 4,
    maxChunk: 1_024,
    sendWindow: { stream: 1_024, connection: 4_096 },
    receiveWindow: { stream: 16, connection: 64 },
    isResumable: true,
    wake() {},
    control() {},
  })
  mux.open({ method: 'GET', path: '/', headers: [] }, 'request', isLast, {
    head: ({ status }) => void heard.push(`head ${status}`),
    data: (bytes) => void heard.push(`data ${bytes.length}`),
    end: () => void heard.push('end'),
    reset: (code, words) => void heard.push(`reset ${code} ${words}`.trim()),
    writable() {},
    over: () => void heard.push('over'),
  })
  mux.pull(1_000)
  return { mux, heard }
}

/** The device's RST in answer to ours. */
const answer = (seq: number) => encodeFrame(FRAME.rst, Buffer.from([0, 1]), { stream: 1, seq })

suite('T7: hostile messages of v2', () => {
  for (const { name, hex, fault, heard: expected } of cases) {
    test(`${fault ? 'end the connection' : 'cost one stream'}: ${name}`, () => {
      const { mux, heard } = opened()
      const message = Buffer.from(hex.replaceAll(' ', ''), 'hex')
      assert.equal(mux.receive(message)?.reason ?? null, fault)
      if (fault) return
      assert.equal(mux.receive(answer(mux.lastSeq + 1)), null)
      mux.pull(1_000)
      assert.deepEqual([heard, mux.size, mux.invariants()], [expected, 0, []])
    })
  }

  test('cost one stream: more than its credit, and the connection more than the credit of all', () => {
    const { mux, heard } = opened()
    const head = encodeFrame(FRAME.resp, Buffer.from([0, 200]), { stream: 1, seq: 1 })
    const data = (bytes: number, seq: number) =>
      encodeFrame(FRAME.data, Buffer.alloc(bytes), { stream: 1, seq })
    assert.equal(mux.receive(Buffer.concat([head, data(17, 2)])), null)
    assert.deepEqual(heard, ['head 200', 'reset 3 credit exceeded'])
    assert.equal(mux.receive(data(65, 3))?.reason, 'connection_credit_exceeded')
  })
})

suite('frames', () => {
  test('of credit beyond what a sender can hold cost their stream', () => {
    const { mux, heard } = opened(false)
    const credit = Buffer.from([0xff, 0xff, 0xff, 0xff])
    assert.equal(mux.receive(encodeFrame(FRAME.credit, credit, { stream: 1, seq: 1 })), null)
    assert.deepEqual(heard, ['reset 3 too much credit'])
  })

  test('of every type are checked for flags, place and length', () => {
    for (const type of Object.values(FRAME)) {
      assert.equal(frameFault(type, 0x80, 1, 2) !== null, true)
      assert.equal(
        frameFault(type, 0, 0, 2) === null || frameFault(type, 0, 1, 4) === null,
        ![6, 18].includes(type),
      )
    }
  })

  test('are read back as they were written', () => {
    const types = fc.constantFrom(FRAME.data, FRAME.wsMsg)
    const number = fc.integer({ min: 1, max: 65_535 })
    fc.assert(
      fc.property(
        types,
        number,
        number,
        fc.uint8Array({ maxLength: 300 }),
        fc.boolean(),
        (type, stream, seq, bytes, isLast) => {
          const flags = isLast ? 1 : 0
          const [frame] = decodeFrames(encodeFrame(type, bytes, { flags, stream, seq })) as object[]
          assert.deepEqual(frame, { type, flags, stream, seq, payload: Buffer.from(bytes) })
        },
      ),
    )
    assert.throws(() => encodeFrame(FRAME.data, new Uint8Array(65_536)), RangeError)
  })

  test('that follow the one at which the taker stopped are dropped', () => {
    const one = Buffer.from(encodeFrame(FRAME.data, Buffer.from('x'), { stream: 1 }))
    const reader = createFrameReader()
    let taken = 0
    const take = () => (taken += 1) < 0
    reader.push(one.subarray(0, 4), take)
    reader.push(Buffer.concat([one.subarray(4), one, one]), take)
    assert.deepEqual([taken, reader.heldBytes], [1, 0])
  })

  test('of one message say one kind', () => {
    const heard: string[] = []
    const { mux } = opened()
    const socket = mux.open({ method: 'GET', path: '/', headers: [] }, 'websocket', false, {
      data() {},
      end() {},
      reset: (code, words) => void heard.push(`reset ${code} ${words}`),
      writable() {},
      message: (bytes) => void heard.push(Buffer.from(bytes).toString()),
    })!
    mux.pull(1_000)
    const stream = socket.id
    const frames = [
      encodeFrame(FRAME.resp, Buffer.from([0, 101]), { stream, seq: 1 }),
      encodeFrame(FRAME.wsMsg, Buffer.from('a'), { stream, seq: 2 }),
      encodeFrame(FRAME.wsMsg, Buffer.from('b'), { stream, seq: 3, flags: 3 }),
    ]
    assert.equal(mux.receive(Buffer.concat(frames)), null)
    assert.deepEqual(heard, ['a', 'reset 3 a message of two kinds'])
  })

  test('come out of a stream of bytes in one piece each, however it was cut', () => {
    const frames = fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 8 })
    const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(frames, cuts, (payloads, sizes) => {
        const all = Buffer.concat(payloads.map((bytes) => encodeFrame(FRAME.data, bytes, { stream: 1 })))
        const reader = createFrameReader()
        const got: Uint8Array[] = []
        for (let at = 0, turn = 0; at < all.length; turn += 1) {
          const size = sizes[turn % sizes.length]!
          reader.push(all.subarray(at, at + size), (run) => got.push(run) > 0)
          at += size
        }
        assert.deepEqual([Buffer.concat(got), reader.heldBytes], [all, 0])
        for (const run of got) assert.ok(Array.isArray(decodeFrames(run)))
      }),
    )
  })
})

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9a-z-]{1,127}$/)
const value = fc.string({
  unit: fc.integer({ min: 32, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 300,
})
const fields = fc
  .array(fc.tuple(fc.oneof(token, fc.constantFrom(...NAMES)), value), { maxLength: 20 })
  .map((pairs) => pairs.flat())
const bytes = (octets: string | null) => Buffer.from(octets!, 'latin1')

suite('header blocks', () => {
  test('are read back as they were written', () => {
    const path = fc.stringMatching(/^\/[!-~]{0,300}$/)
    const method = fc.oneof(fc.constantFrom(...METHODS), fc.stringMatching(/^[A-Z]{1,20}$/))
    fc.assert(
      fc.property(
        method,
        path,
        fc.integer({ min: 0, max: 65_535 }),
        fields,
        (verb, target, status, headers) => {
          const request = { method: verb, path: target, headers }
          assert.deepEqual(decodeRequestHead(bytes(encodeRequestHead(request))), request)
          assert.deepEqual(decodeResponseHead(bytes(encodeResponseHead({ status, headers }))), {
            status,
            headers,
          })
          assert.deepEqual(decodeTrailers(bytes(encodeTrailers(headers))), headers)
        },
      ),
    )
  })

  test('cut off anywhere are refused or are a shorter block, and never throw', () => {
    const whole = bytes(
      encodeRequestHead({ method: 'GET', path: '/a', headers: ['accept', 'b', 'x-y', 'z'] }),
    )
    const ends = Array.from(whole, (_, end) => decodeRequestHead(whole.subarray(0, end)))
    assert.deepEqual(
      ends.map((head) => head && head.headers.length / 2),
      [null, null, null, null, 0, null, null, 1, null, null, null, null, null],
    )
  })

  test('give each name of the table one octet that stays its own', () => {
    assert.deepEqual([NAMES.length, new Set(NAMES).size], [69, 69])
    const octets = ['accept', 'content-type', 'range', 'www-authenticate', ':length'].map(
      (name) => bytes(encodeTrailers([name, '']))[0],
    )
    assert.deepEqual(octets, [0x80, 0x92, 0xa5, 0xbb, 0xc4])
    assert.deepEqual(decodeTrailers(Buffer.from('\x06accept\x01a', 'latin1')), ['accept', 'a'])
  })

  test('that this dialect can not say are not said', () => {
    const many = Array.from({ length: V2_LIMITS.maxHeaders + 1 }, () => ['a', 'b']).flat()
    for (const headers of [
      many,
      ['', 'v'],
      ['n'.repeat(128), 'v'],
      ['n', 'ж'],
      ['n', 'v'.repeat(32_768)],
      ['n', 'v'.repeat(32_766)],
    ])
      assert.equal(encodeResponseHead({ status: 200, headers }), null)
    assert.equal(encodeResponseHead({ status: 65_536, headers: [] }), null)
    assert.equal(encodeRequestHead({ method: '', path: '/', headers: [] }), null)
    assert.equal(decodeTrailers(Buffer.from('\x01a\x01b'.repeat(201), 'latin1')), null)
    assert.equal(decodeTrailers(Buffer.alloc(V2_LIMITS.maxHeadBytes + 1, 1)), null)
  })

  test('with a space or control character in the path are refused', () => {
    for (const path of ['/ ', '/\n', '/\x7f', '/a b'])
      assert.equal(
        decodeRequestHead(Buffer.concat([Buffer.from([0x80, path.length]), Buffer.from(path)])),
        null,
      )
  })
})

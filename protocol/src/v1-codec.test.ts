import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { ClientMessage, V1_LIMITS } from './messages.ts'
import { parseClientMessage, parseServerMessage, serialise } from './v1-codec.ts'

type Vector = { from: 'device' | 'server'; text: string }
type HostileCase = { name: string; hex?: string; text?: string; close: number; detail: string }

function vectors(name: string) {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), 'utf8'))
}

const { transcript }: { transcript: Vector[] } = vectors('requirements')
const { cases }: { cases: HostileCase[] } = vectors('hostile')

function bytesOf({ hex, text }: HostileCase): Buffer {
  return hex === undefined ? Buffer.from(text ?? '') : Buffer.from(hex, 'hex')
}

suite('golden transcript', () => {
  for (const { from, text } of transcript) {
    test(`reads and writes ${text.slice(0, 60)} of the ${from} byte for byte`, () => {
      const parsed = from === 'device' ? parseClientMessage(Buffer.from(text)) : parseServerMessage(text)
      assert.ok(parsed.ok, JSON.stringify(parsed))
      assert.equal(serialise(parsed.message), text)
    })
  }

  test('writes fields in the order of the specification whatever the order they were set in', () => {
    const text = serialise({ body: '', headers: {}, path: '/', method: 'GET', id: 'a', type: 'http_request' })
    assert.equal(text, '{"type":"http_request","id":"a","method":"GET","path":"/","headers":{},"body":""}')
  })
})

suite('T7: hostile payloads', () => {
  for (const hostile of cases) {
    test(`closes ${hostile.close} on ${hostile.name}`, () => {
      const parsed = parseClientMessage(bytesOf(hostile))
      assert.ok(!parsed.ok)
      assert.deepEqual([parsed.close.code, parsed.detail], [hostile.close, hostile.detail])
    })
  }

  test('refuses 5,000 and 200,000 levels without a stack overflow', () => {
    for (const depth of [5_000, 200_000]) {
      for (const text of ['['.repeat(depth), '{"a":'.repeat(depth), '['.repeat(depth) + ']'.repeat(depth)]) {
        const parsed = parseClientMessage(text, { maxMessageBytes: 10_000_000 })
        assert.ok(!parsed.ok)
        assert.equal(parsed.detail, 'too_deep')
      }
    }
  })

  test('refuses a million keys and a million items', () => {
    const keys = `{${Array.from({ length: 1_000_000 }, (_, at) => `"k${at}":0`).join(',')}}`
    const items = `[${'0,'.repeat(1_000_000)}0]`
    for (const text of [keys, items]) {
      const parsed = parseClientMessage(text, { maxMessageBytes: 100_000_000 })
      assert.ok(!parsed.ok)
      assert.equal(parsed.detail, 'too_many_values')
    }
  })

  test('refuses what is larger than the limit before reading it', () => {
    const parsed = parseClientMessage(Buffer.alloc(V1_LIMITS.maxMessageBytes + 1, 0x20))
    assert.ok(!parsed.ok)
    assert.equal(parsed.close.code, 1009)
  })

  test('takes the deepest and the longest that the limits allow', () => {
    const nested = '['.repeat(12) + ']'.repeat(12)
    assert.ok(parseClientMessage(`{"type":"metrics","items":[{"type":"t","value":${nested}}]}`).ok)
    const head = '{"type":"http_response","id":"a","status":200,"body":"'
    const body = 'x'.repeat(V1_LIMITS.maxMessageBytes - head.length - 2)
    assert.ok(parseClientMessage(`${head}${body}"}`).ok)
  })
})

suite('T8: keys of the prototype', () => {
  const poison = '{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}},"toString":1}'
  const texts = [
    `{"type":"register","credentials":${poison}}`,
    `{"type":"metrics","items":[{"type":"t","value":${poison}}]}`,
    `{"type":"command_result","id":"a","ok":true,"result":${poison}}`,
    `{"type":"http_response","id":"a","status":200,"headers":${poison}}`,
    `{"type":"http_response","__proto__":{"id":"a","status":200}}`,
  ]
  for (const text of texts) {
    test(`pollute nothing in ${text.slice(0, 50)}`, () => {
      const parsed = parseClientMessage(text)
      assert.equal(Reflect.get({}, 'polluted'), undefined)
      if (parsed.ok) assert.equal(Object.getPrototypeOf(parsed.message), Object.prototype)
    })
  }

  test('never stand in for own fields', () => {
    assert.equal(parseClientMessage(texts[4] ?? '').ok, false)
  })
})

const maybe = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 })
const odd = fc.oneof(
  fc.jsonValue(),
  fc.constant(null),
  fc.constant(''),
  fc.string({ minLength: 60, maxLength: 70 }),
)
const field = <T>(arbitrary: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 8, arbitrary }, { weight: 1, arbitrary: odd })
const hot = fc.record({
  type: fc.constantFrom('http_response', 'http_response_chunk'),
  id: maybe(field(fc.string({ minLength: 1, maxLength: 64 }))),
  status: maybe(field(fc.integer())),
  headers: maybe(field(fc.dictionary(fc.string(), fc.string()))),
  body: maybe(field(fc.string())),
  bodyEncoding: maybe(field(fc.constantFrom('utf8', 'base64'))),
  more: maybe(field(fc.boolean())),
  error: maybe(field(fc.string())),
  surplus: maybe(odd),
})

suite('properties', () => {
  test('the fast way through page bodies says exactly what the schema says', () => {
    fc.assert(
      fc.property(hot, (value) => {
        const text = JSON.stringify(value)
        const expected = ClientMessage.safeParse(JSON.parse(text))
        const parsed = parseClientMessage(text)
        // Half characters are refused before either.
        if (!parsed.ok && parsed.detail === 'lone_surrogate') return
        assert.equal(parsed.ok, expected.success)
        if (parsed.ok) assert.deepEqual(parsed.message, expected.data)
      }),
      { numRuns: 3_000 },
    )
  })

  test('what was written is read back', () => {
    const safe = fc.string({ unit: 'grapheme' })
    const name = safe.filter((key) => key !== '__proto__')
    const values = fc.oneof(safe, fc.array(safe))
    const message = fc.record(
      {
        type: fc.constant('http_request' as const),
        id: safe,
        method: safe,
        path: safe,
        headers: fc.dictionary(name, values, { noNullPrototype: true }),
        body: safe,
      },
      { noNullPrototype: true },
    )
    fc.assert(
      fc.property(message, (value) => {
        const parsed = parseServerMessage(Buffer.from(serialise(value)))
        assert.deepEqual(parsed, { ok: true, message: value })
      }),
    )
  })

  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void parseClientMessage(bytes)),
      { numRuns: 2_000 },
    )
  })

  test('no text made of the pieces of JSON makes it throw', () => {
    const piece = fc.constantFrom(
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '\\',
      '\\u',
      'd800',
      '1',
      'e9',
      '-',
      '"type"',
      '"log"',
      'null',
      ' ',
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => void parseClientMessage(pieces.join(''))),
      { numRuns: 5_000 },
    )
  })

  test('every valid JSON within the limits passes the guard unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
        const text = `{"type":"command_result","id":"a","ok":true,"result":${JSON.stringify(value)}}`
        const parsed = parseClientMessage(text)
        if (!parsed.ok) assert.equal(parsed.detail, 'lone_surrogate')
      }),
      { numRuns: 2_000 },
    )
  })
})

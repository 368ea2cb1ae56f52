import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { decodeBody, encodeBody, responseMessages, splitBody } from './v1-body.ts'
import { V1_LIMITS } from './messages.ts'
import { parseClientMessage, serialise } from './v1-codec.ts'

const bytes = fc.uint8Array({ maxLength: 400 })
const text = fc.string({ unit: 'grapheme', maxLength: 200 }).map((value) => Buffer.from(value))
const body = fc.oneof(bytes, text)

suite('bodies', () => {
  test('come back byte for byte', () => {
    fc.assert(
      fc.property(body, (value) => {
        assert.deepEqual(decodeBody(encodeBody(value)), Buffer.from(value))
      }),
    )
  })

  test('that are text travel as text, all others as base64', () => {
    assert.deepEqual(encodeBody(Buffer.from('привет')), { body: 'привет' })
    assert.deepEqual(encodeBody(Buffer.from('efbbbf61', 'hex')), { body: '\ufeffa' })
    assert.deepEqual(encodeBody(Buffer.from([0xff, 0, 1])), { body: '/wAB', bodyEncoding: 'base64' })
    assert.deepEqual(encodeBody(new Uint8Array()), { body: '' })
  })

  test('with an announced encoding that they do not have are refused', () => {
    for (const bad of ['!', 'AAA', 'AA=A', 'AA==AAAA', 'A===', '-_-_', 'AAA\n', 'AAA ', '====']) {
      assert.equal(decodeBody({ body: bad, bodyEncoding: 'base64' }), null, bad)
    }
    assert.deepEqual(decodeBody({ body: 'AAAA', bodyEncoding: 'base64' }), Buffer.alloc(3))
    assert.deepEqual(decodeBody({}), Buffer.alloc(0))
  })

  test('that break off have no bytes, so nobody takes them for whole', () => {
    assert.equal(decodeBody({ body: 'abc', error: 'upstream broke off' }), null)
    assert.equal(decodeBody({ error: '' }), null)
  })

  test('are split into pieces that fit and join to the same bytes', () => {
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 50 }), (value, maxBytes) => {
        const pieces = [...splitBody(value, maxBytes)]
        assert.ok(pieces.every((piece) => piece.length <= maxBytes))
        assert.deepEqual(Buffer.concat(pieces), Buffer.from(value))
      }),
    )
  })

  test('that are text are never cut inside a character', () => {
    fc.assert(
      fc.property(text, fc.integer({ min: 4, max: 50 }), (value, maxBytes) => {
        for (const piece of splitBody(value, maxBytes))
          assert.equal(encodeBody(piece).bodyEncoding, undefined)
      }),
    )
  })
})

suite('responses', () => {
  test('are one message when they fit, with nothing a simple gateway does not know', () => {
    const messages = [...responseMessages({ id: 'a', status: 200, headers: {} }, Buffer.from('hi'))]
    assert.deepEqual(messages, [{ type: 'http_response', id: 'a', status: 200, headers: {}, body: 'hi' }])
  })

  test('join to the whole body and only the last says that nothing follows', () => {
    fc.assert(
      fc.property(body, fc.integer({ min: 1, max: 50 }), (value, maxBytes) => {
        const messages = [...responseMessages({ id: 'a', status: 200, headers: {} }, value, maxBytes)]
        const joined = Buffer.concat(messages.map((message) => decodeBody(message) ?? Buffer.alloc(0)))
        assert.deepEqual(joined, Buffer.from(value))
        assert.deepEqual(
          messages.map(({ more }) => more === true),
          messages.map((_, at) => at < messages.length - 1),
        )
      }),
    )
  })

  test('stay below the message limit even when each byte needs an escape', () => {
    for (const message of responseMessages({ id: 'a', status: 200, headers: {} }, Buffer.alloc(100_000, 1))) {
      assert.ok(serialise(message).length < V1_LIMITS.maxMessageBytes)
      assert.ok(parseClientMessage(serialise(message)).ok)
    }
  })
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { traceOf } from './request-trace.ts'
import { eventTail, firstEventEnd, isBetweenEvents } from './response-events.ts'
import { chosenSubprotocol, closeCode, closeReason } from './response-websocket.ts'
import { allowedTrailers } from './trailers.ts'

suite('ends of events', () => {
  const lines = fc.array(fc.constantFrom('\n', '\r', '\r\n', 'data: x', ':', 'é'), { maxLength: 30 })
  const bytes = (text: string) => Buffer.from(text, 'latin1')

  test('are found in all three forms of a line end, and one line end is none', () => {
    for (const [text, at] of [
      ['data: 1\n\nrest', 9],
      ['data: 1\r\n\r\nrest', 11],
      ['data: 1\r\rrest', 9],
      ['data: 1\n\r\nrest', 10],
      ['data: 1\r\nrest', -1],
      ['data: 1', -1],
    ] as const) {
      assert.equal(firstEventEnd('', bytes(text)), at, JSON.stringify(text))
    }
    assert.equal(isBetweenEvents(''), true)
    assert.equal(isBetweenEvents('1\r\n'), false)
    assert.equal(isBetweenEvents('\r\n\r\n'), true)
  })

  test('are the same however the stream is cut into pieces', () => {
    fc.assert(
      fc.property(lines, fc.array(fc.nat(5), { maxLength: 40 }), (parts, sizes) => {
        const text = parts.join('')
        let tail = ''
        let at = 0
        for (const size of [...sizes, text.length]) {
          tail = eventTail(tail, bytes(text.slice(at, at + size)))
          at = Math.min(text.length, at + size)
        }
        assert.equal(tail, text.slice(-4))
        assert.equal(isBetweenEvents(tail), text === '' || isBetweenEvents(text.slice(-4)))
      }),
    )
  })

  test('leave nothing of an event behind where a stream is ended at one', () => {
    fc.assert(
      fc.property(lines, lines, (before, after) => {
        const tail = eventTail('', bytes(before.join('')))
        const piece = bytes(after.join(''))
        const end = firstEventEnd(tail, piece)
        if (end < 0) return
        assert.ok(end >= 1 && end <= piece.length)
        assert.ok(isBetweenEvents(eventTail(tail, piece.subarray(0, end))))
      }),
    )
  })
})

suite('trailers', () => {
  test('P4: only names that decide nothing, sound, and a bounded number of them', () => {
    const refused = [
      'content-length',
      'transfer-encoding',
      'host',
      'authorization',
      'cookie',
      'set-cookie',
      'location',
      'etag',
      'x-forwarded-for',
      'x-wmoc-user',
      'x-real-ip',
      'x-accel-redirect',
      'x-frame-options',
      'content-type',
      'x a',
      '',
    ]
    assert.deepEqual(allowedTrailers(refused.flatMap((name) => [name, '1'])), [])
    assert.deepEqual(allowedTrailers(['X-Sum', '1', 'x-sum', 'a\nb', 'GRPC-Status', '0']), [
      'x-sum',
      '1',
      'grpc-status',
      '0',
    ])
    assert.deepEqual(allowedTrailers({ 'x-a': ['1', '2'], __proto__x: '3' }), ['x-a', '1', 'x-a', '2'])
    assert.equal(
      allowedTrailers(Array.from({ length: 200 }, (_, at) => (at % 2 === 0 ? `x-${at}` : 'v'))).length,
      32,
    )
    assert.deepEqual(allowedTrailers(['x-big', 'v'.repeat(3_000), 'x-small', 'v']), [])
  })
})

suite('WebSockets of devices', () => {
  test('P12: a close code is one that may be sent, and a reason fits its frame without half a character', () => {
    fc.assert(
      fc.property(fc.nat(70_000), fc.string({ unit: 'grapheme', maxLength: 200 }), (code, reason) => {
        const sent = closeCode(code)
        if (sent !== undefined) {
          assert.ok((sent >= 1000 && sent <= 1014) || (sent >= 3000 && sent <= 4999))
          assert.ok(![1004, 1005, 1006].includes(sent))
        }
        const cut = closeReason(reason)
        assert.ok(Buffer.byteLength(cut) <= 123)
        assert.ok(reason.toWellFormed().startsWith(cut) && !cut.includes('\ufffd'))
      }),
    )
  })

  test('P11: the subprotocol is one of those offered, none, or the end of it', () => {
    const head = (headers: unknown, status: unknown = 101) =>
      chosenSubprotocol({ status, headers }, ['a', 'b'])
    assert.equal(head({}), '')
    assert.equal(head(undefined), '')
    assert.equal(head({ 'Sec-WebSocket-Protocol': 'b' }), 'b')
    assert.equal(head({ 'sec-websocket-protocol': ['b'] }), 'b')
    for (const wrong of ['c', '', 'a, b', ['a', 'b'], 7, null, { a: 1 }])
      assert.equal(head({ 'sec-websocket-protocol': wrong }), null, JSON.stringify(wrong))
    assert.equal(head({}, 200), undefined)
    assert.equal(head({}, '101'), undefined)
  })
})

test('a trace goes on only from a sound parent, and otherwise begins unrecorded', () => {
  const random = `${'1'.repeat(32)}${'2'.repeat(16)}`
  const id = 'a'.repeat(32)
  const parent = 'b'.repeat(16)
  assert.equal(traceOf(`00-${id}-${parent}-01`, random).traceparent, `00-${id}-${'2'.repeat(16)}-01`)
  assert.equal(traceOf(`cc-${id}-${parent}-01-later`, random).traceId, id)
  for (const given of [
    undefined,
    '',
    `00-${id}-${parent}-01-more`,
    `00-${'0'.repeat(32)}-${parent}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `ff-${id}-${parent}-01`,
    `00-${id.toUpperCase()}-${parent}-01`,
    `00-${id}-${parent}-1`,
  ])
    assert.equal(
      traceOf(given, random).traceparent,
      `00-${'1'.repeat(32)}-${'2'.repeat(16)}-00`,
      String(given),
    )
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { createMessageBuilder, MAX_MESSAGE_BYTES } from './message-builder.ts'

suite('messages in pieces', () => {
  test('come out whole, one after the other, wherever they were cut', () => {
    const messages = fc.array(fc.array(fc.uint8Array({ maxLength: 9_000 }), { minLength: 1, maxLength: 6 }))
    fc.assert(
      fc.property(messages, (given) => {
        const builder = createMessageBuilder()
        const whole = given.map((pieces) =>
          pieces.map((piece, index) => builder.add(piece, index === pieces.length - 1)),
        )
        whole.forEach((answers, index) => {
          assert.ok(answers.slice(0, -1).every((answer) => answer === null))
          assert.deepEqual(Buffer.from(answers.at(-1)!), Buffer.concat(given[index]!))
        })
      }),
    )
  })

  test('may be as long as the limit and not a byte longer', () => {
    const half = new Uint8Array(MAX_MESSAGE_BYTES / 2).fill(7)
    const builder = createMessageBuilder()
    assert.equal(builder.add(half, false), null)
    assert.equal(builder.add(half, true)?.length, MAX_MESSAGE_BYTES)
    assert.equal(builder.add(half, false), null)
    assert.equal(builder.add(new Uint8Array(MAX_MESSAGE_BYTES / 2 + 1), true), undefined)
    assert.equal(createMessageBuilder().add(new Uint8Array(MAX_MESSAGE_BYTES + 1), true), undefined)
  })

  test('T6: are copied, so that a byte of a long frame does not keep all of it', () => {
    const builder = createMessageBuilder()
    for (let index = 0; index < 2_000; index++) {
      const piece = Uint8Array.of(0, index & 0xff, 0).subarray(1, 2)
      assert.equal(builder.add(piece, false), null)
      piece.fill(0)
      builder.add(new Uint8Array(0), false)
    }
    const whole = builder.add(new Uint8Array(0), true)!
    assert.deepEqual(
      [...whole],
      Array.from({ length: 2_000 }, (_, index) => index & 0xff),
    )
    assert.ok(whole.buffer.byteLength <= 8_192)
  })
})

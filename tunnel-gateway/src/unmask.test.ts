import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import * as library from 'ws'
import { unmask, unmaskByWords } from './unmask.ts'

interface Receiver {
  on(event: 'message', listener: (message: Buffer) => void): void
  write(bytes: Uint8Array): void
}
const { Receiver } = library as unknown as { Receiver: new (options: object) => Receiver }

const masks = fc.uint8Array({ minLength: 4, maxLength: 4 })

test('takes a mask off as byte by byte would, wherever the bytes stand in memory', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(9), masks, (memory, skip, mask) => {
      const bytes = memory.subarray(Math.min(skip, memory.length))
      const expected = bytes.map((byte, at) => byte ^ mask[at & 3]!)
      unmask(bytes, mask)
      assert.deepEqual(bytes, expected)
    }),
  )
})

test('T6: the library says what was sent, however the bytes of its frames arrive', () => {
  unmaskByWords()
  const message = fc.record({ payload: fc.uint8Array({ maxLength: 400 }), mask: masks })
  const messages = fc.array(message, { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sent, cuts) => {
      const receiver = new Receiver({ isServer: true, allowSynchronousEvents: true })
      const heard: Buffer[] = []
      receiver.on('message', (bytes) => heard.push(bytes))
      const wire = Buffer.concat(sent.map(({ payload, mask }) => frame(payload, mask)))
      for (let at = 0, turn = 0; at < wire.length; turn += 1) {
        const end = at + cuts[turn % cuts.length]!
        receiver.write(Buffer.from(wire.subarray(at, end)))
        at = end
      }
      assert.deepEqual(
        heard.map((bytes) => bytes.toString('hex')),
        sent.map(({ payload }) => Buffer.from(payload).toString('hex')),
      )
    }),
  )
})

/** A binary message of a client, masked byte by byte. */
function frame(payload: Uint8Array, mask: Uint8Array): Buffer {
  const { length } = payload
  const head = length < 126 ? [0x82, 0x80 | length] : [0x82, 0x80 | 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), mask, payload.map((byte, at) => byte ^ mask[at & 3]!)])
}

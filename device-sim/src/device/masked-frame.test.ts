import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { maskedFrame } from './masked-frame.ts'

/** What a server reads, byte by byte. */
function read(frame: Buffer): { opcode: number; payload: Buffer; rest: number } {
  let at = 2
  let length = frame[1]! & 0x7f
  if (length === 126) {
    length = frame.readUInt16BE(2)
    at = 4
  } else if (length === 127) {
    length = Number(frame.readBigUInt64BE(2))
    at = 10
  }
  assert.equal(frame[1]! & 0x80, 0x80)
  const mask = frame.subarray(at, at + 4)
  const masked = frame.subarray(at + 4, at + 4 + length)
  const payload = Buffer.from(masked.map((byte, index) => byte ^ mask[index % 4]!))
  return { opcode: frame[0]!, payload, rest: frame.length - at - 4 - length }
}

suite('a masked frame', () => {
  test('says any bytes, wherever they stand in memory', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.integer({ min: 0, max: 9 }),
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        (bytes, skip, mask) => {
          const payload = Buffer.from(bytes).subarray(Math.min(skip, bytes.length))
          const before = Buffer.from(payload)
          assert.deepEqual(read(maskedFrame(payload, mask)), { opcode: 0x82, payload: before, rest: 0 })
          assert.deepEqual(payload, before)
        },
      ),
    )
  })

  test('has the three forms of length', () => {
    for (const length of [0, 125, 126, 65_535, 65_536, 200_001]) {
      const payload = Buffer.alloc(length, 0x5a)
      const { payload: said, rest } = read(maskedFrame(payload, Buffer.from([1, 2, 3, 4])))
      assert.ok(said.equals(payload))
      assert.equal(rest, 0)
    }
  })
})

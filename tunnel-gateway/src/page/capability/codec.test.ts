import assert from 'node:assert/strict'
import { createHmac, timingSafeEqual } from 'node:crypto'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { readCapability, writeCapability } from './codec.ts'
import type { Capability } from './codec.ts'

const signWith = (key: string) => (bytes: Uint8Array) =>
  createHmac('sha256', key).update(bytes).digest().subarray(0, 16)
const sign = signWith('a key')
const read = (controllerId: string, text: string, by = sign) =>
  readCapability(controllerId, text, by, timingSafeEqual)

const person = fc.record({
  id: fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
  controllerId: fc.uuid(),
  userId: fc.uuid(),
  sessionId: fc.uuid(),
  linkId: fc.constant(null),
  scope: fc.constantFrom('view', 'use'),
  accessEpoch: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  issuedAt: fc.integer({ min: 0, max: 2 ** 48 - 1 }),
})
const guest = person.map((given) => ({ ...given, linkId: given.userId, sessionId: given.userId }))
const capability: fc.Arbitrary<Capability> = fc.oneof(person, guest)

suite('a capability', () => {
  test('is read as it was written, in an address short enough', () => {
    fc.assert(
      fc.property(capability, (given) => {
        const text = writeCapability(given, sign)
        assert.match(text, /^[A-Za-z0-9_-]{1,100}$/)
        assert.deepEqual(read(given.controllerId, text), { ...given })
      }),
    )
  })

  test('O4, O8: is nothing for another controller, with another key, or changed in any bit', () => {
    fc.assert(
      fc.property(
        capability,
        fc.uuid(),
        fc.nat(),
        fc.integer({ min: 0, max: 7 }),
        (given, other, at, bit) => {
          const text = writeCapability(given, sign)
          if (other !== given.controllerId) assert.equal(read(other, text), null)
          assert.equal(read(given.controllerId, text, signWith('another')), null)
          const bytes = Buffer.from(text, 'base64url')
          bytes[at % bytes.length]! ^= 1 << bit
          assert.equal(read(given.controllerId, bytes.toString('base64url')), null)
        },
      ),
    )
  })

  test('has one spelling, and any other text is nothing', () => {
    fc.assert(
      fc.property(capability, fc.string(), (given, noise) => {
        const text = writeCapability(given, sign)
        for (const spelling of [
          `${text}=`,
          `${text}A`,
          ` ${text}`,
          text.slice(0, -1),
          text.replaceAll('_', '/'),
        ])
          if (spelling !== text) assert.equal(read(given.controllerId, spelling), null, spelling)
        assert.equal(read(given.controllerId, noise), null)
      }),
    )
  })
})

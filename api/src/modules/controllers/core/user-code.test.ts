import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { UserCode } from '../contract.ts'
import { CODE_ALPHABET, CODE_LENGTH, formatUserCode, pageLabelFrom, userCodeFrom } from './user-code.ts'

suite('user codes', () => {
  test('D6: a code has at least 34.5 bits', () => {
    assert.ok(CODE_LENGTH * Math.log2(CODE_ALPHABET.length) >= 34.5)
  })

  test('every letter is as likely as any other', () => {
    const everyByte = Uint8Array.from({ length: 240 }, (_, index) => index)
    const counts = new Map<string, number>()
    for (let from = 0; from < 240; from += CODE_LENGTH) {
      for (const letter of userCodeFrom(everyByte.subarray(from, from + CODE_LENGTH))!) {
        counts.set(letter, (counts.get(letter) ?? 0) + 1)
      }
    }
    assert.deepEqual([...new Set(counts.values())], [12])
    assert.equal(counts.size, CODE_ALPHABET.length)
    assert.equal(userCodeFrom(Uint8Array.from({ length: 16 }, (_, index) => 240 + index)), null)
  })

  test('what is shown is understood again, in any case, with or without the dash', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (bytes) => {
        const code = userCodeFrom(bytes)
        if (code === null) return
        const shown = formatUserCode(code)
        for (const typed of [shown, shown.toLowerCase(), code, ` ${code.slice(0, 4)} ${code.slice(4)} `]) {
          assert.equal(UserCode.parse(typed), code)
        }
      }),
    )
  })

  test('a page label is 16 letters that a host name may have', () => {
    assert.match(pageLabelFrom(randomBytes(16)), /^[a-z2-7]{16}$/)
  })
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { Locale } from '#src/kernel/schemas.ts'
import { NOTIFICATION_TYPES } from '../contract.ts'
import { compose, digest, testText } from './texts.ts'

const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 2_000 }),
  fc.constantFrom(
    '\r\nBcc: a@b.c',
    '\u202Egpj.exe',
    '<img src=x onerror=alert(1)>',
    '\uD800',
    '\0',
    '\u2028',
  ),
)

suite('texts of notifications', () => {
  for (const locale of Locale.options) {
    for (const type of NOTIFICATION_TYPES) {
      test(`are one line that fits for ${type} in ${locale}, whatever the device calls itself`, () => {
        fc.assert(
          fc.property(hostile, hostile, (name, other) => {
            const facts = {
              controllerId: 'x',
              controllerName: name,
              remoteAddress: other,
              commandName: other,
              reason: other,
            }
            const { title, message } = compose(type, facts, locale)
            assert.ok([...title].length <= 255)
            for (const text of [title, message]) {
              assert.doesNotMatch(text, /[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]/u)
              assert.ok(text.isWellFormed())
            }
          }),
        )
      })
    }
  }

  test('say an expired command in their own words', () => {
    const facts = { controllerId: 'x', controllerName: 'Pump', commandName: 'reboot', reason: 'expired' }
    assert.match(compose('command_failed', facts, 'en').message, /expired before/)
    assert.match(compose('command_failed', facts, 'ru').message, /истёк раньше/)
  })

  test('go alone as they are and together as a list', () => {
    const one = { title: 'A', message: 'a' }
    assert.equal(digest([one], 'en'), one)
    const both = digest([one, { title: 'B', message: 'b' }], 'ru')
    assert.equal(both.title, 'Уведомления: 2')
    assert.match(both.message, /• A\n {2}a\n\n• B/)
    assert.notEqual(testText('en').title, testText('ru').title)
  })
})

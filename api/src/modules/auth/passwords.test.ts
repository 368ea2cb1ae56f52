import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { verify } from '@node-rs/bcrypt'
import type { AppError } from '@wmoc/platform/errors'
import { createPasswords, NOBODY } from './passwords.ts'

const passwords = createPasswords('a-pepper-of-more-than-thirty-two-characters')

suite('U1: passwords', () => {
  test('bcrypt is bcrypt: a vector of Openwall crypt_blowfish', async () => {
    const hash = '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'
    assert.equal(await verify('U*U', hash), true)
    assert.equal(await verify('U*V', hash), false)
  })

  test('differ when only what bcrypt would cut differs: 36 Cyrillic letters and another tail', async () => {
    const head = 'пароль'.repeat(6)
    const hash = await passwords.hash(`${head}один`)
    assert.equal(await passwords.verify(`${head}один`, hash), true)
    assert.equal(await passwords.verify(`${head}два!`, hash), false)
    assert.equal(await passwords.verify(head, hash), false)
  })

  test('are the same in composed and decomposed Unicode', async () => {
    const hash = await passwords.hash('Ёлочка-ёлка'.normalize('NFD'))
    assert.equal(await passwords.verify('Ёлочка-ёлка'.normalize('NFC'), hash), true)
  })

  test('do not end at a NUL', async () => {
    const hash = await passwords.hash('secret\0one-more')
    assert.equal(await passwords.verify('secret\0another', hash), false)
  })

  test('are worth nothing under another pepper', async () => {
    const hash = await passwords.hash('correct horse')
    const others = createPasswords('another-pepper-of-more-than-32-characters')
    assert.equal(await others.verify('correct horse', hash), false)
  })

  test('match nobody without a hash', async () => {
    assert.equal(await passwords.verify('x'.repeat(64), null), false)
  })

  test('U3: cost the same with a hash and without', async () => {
    const prefix = /^\$2b\$\d\d\$/
    assert.deepEqual(prefix.exec(NOBODY)?.[0], prefix.exec(await passwords.hash('correct horse'))?.[0])
  })

  test('U2: 200 at once leave the event loop free, and what does not fit the queue is told busy', async () => {
    const own = createPasswords('a-pepper-of-more-than-thirty-two-characters')
    let turns = 0
    const timer = setInterval(() => (turns += 1), 5)
    const results = await Promise.allSettled(Array.from({ length: 200 }, () => own.verify('guess', null)))
    clearInterval(timer)
    const refused = results.filter((result) => result.status === 'rejected')
    assert.equal(refused.length, 200 - 50)
    for (const { reason } of refused) assert.equal((reason as AppError).code, 'busy')
    assert.ok(turns > 50, `the event loop turned ${turns} times`)
    assert.equal(await own.verify('guess', null), false)
  })
})

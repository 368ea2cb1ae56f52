import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSecretBox } from './secret-box.ts'

suite('secrets at rest', () => {
  const [old, fresh] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)]

  test('open in their own context only, and never look the same twice', () => {
    const box = createSecretBox([old])
    const sealed = box.seal('пароль', 'row 1')
    assert.equal(box.open(sealed, 'row 1'), 'пароль')
    assert.notEqual(box.seal('пароль', 'row 1'), sealed)
    assert.throws(() => box.open(sealed, 'row 2'))
    assert.throws(() => createSecretBox([fresh]).open(sealed, 'row 1'))
  })

  test('are refused when a character is changed or the tag is cut', () => {
    const box = createSecretBox([old])
    const parts = box.seal('secret', 'c').split('.')
    const changed = parts.with(4, Buffer.from('secreT').toString('base64url'))
    const cut = parts.with(3, (parts[3] ?? '').slice(0, 6))
    for (const wrong of [changed, cut, parts.with(0, 'v0'), parts.slice(0, 4)]) {
      assert.throws(() => box.open(wrong.join('.'), 'c'))
    }
  })

  test('sealed under an old key still open after a rotation', () => {
    const sealed = createSecretBox([old]).seal('secret', 'c')
    assert.equal(createSecretBox([fresh, old]).open(sealed, 'c'), 'secret')
  })

  test('say whether they are sealed under the present key', () => {
    const box = createSecretBox([fresh, old])
    assert.equal(box.isPresent(box.seal('secret', 'c')), true)
    assert.equal(box.isPresent(createSecretBox([old]).seal('secret', 'c')), false)
  })
})

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { CLOSE } from './close-codes.ts'
import { ClientMessage, ServerMessage, V1_LIMITS } from './messages.ts'
import { protocolReference } from './reference.ts'

const page = protocolReference(readFileSync(new URL('./messages.ts', import.meta.url), 'utf8'))

suite('the reference page', () => {
  test('has a section for every message of both sides', () => {
    for (const { shape } of [...ClientMessage.options, ...ServerMessage.options]) {
      assert.match(page, new RegExp(`^### ${shape.type.value}$`, 'm'))
    }
  })

  test('names every field of every message', () => {
    for (const { shape } of [...ClientMessage.options, ...ServerMessage.options]) {
      const section = page.split(`### ${shape.type.value}\n`)[1]?.split('\n#')[0] ?? ''
      for (const field of Object.keys(shape))
        assert.ok(section.includes(`| \`${field}\` |`), `${shape.type.value}.${field}`)
    }
  })

  test('has every limit and every close code with its value', () => {
    for (const [name, value] of Object.entries(V1_LIMITS))
      assert.ok(page.includes(`| \`${name}\` | ${value} |`), name)
    for (const { code, reason } of Object.values(CLOSE))
      assert.ok(page.includes(`| ${code} | \`${reason}\` |`))
  })

  test('carries the notes of the source', () => {
    assert.ok(page.includes('The rest of the body will never come'))
    assert.ok(page.includes('Asks a person to claim the device; the shape of RFC 8628 section 3.2.'))
  })
})

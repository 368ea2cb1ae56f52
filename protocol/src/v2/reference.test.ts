import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import { FLAG, FRAME, RESET, V2_LIMITS } from './frames.ts'
import { Hello, Welcome } from './handshake.ts'
import { protocolV2Reference } from './reference.ts'

const source = (name: string) => readFileSync(new URL(`./${name}.ts`, import.meta.url), 'utf8')
const page = protocolV2Reference({
  frames: source('frames'),
  handshake: source('handshake'),
  headerBlock: source('header-block'),
})

suite('the reference page of v2', () => {
  test('has every frame, flag, code and limit with its value', () => {
    for (const values of [FRAME, FLAG, RESET, V2_LIMITS])
      for (const [name, value] of Object.entries(values))
        assert.ok(page.includes(`| \`${name}\` | ${value} |`), name)
  })

  test('names every field of the greetings, and carries the notes of the source', () => {
    for (const { shape } of [Hello, Welcome])
      for (const field of Object.keys(shape)) assert.ok(page.includes(`| \`${field}\` |`), field)
    for (const words of ['Opens a stream: request head.', 'Longest DATA or WS_MSG payload.', 'Resume: a new'])
      assert.ok(page.includes(words), words)
  })
})

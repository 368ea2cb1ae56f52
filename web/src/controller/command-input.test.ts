import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CommandInput } from './command-input.ts'

const parse = (params: string) => CommandInput.safeParse({ name: 'restart', params, ttlSec: 60 })

test('parameters are JSON, or nothing', () => {
  assert.deepEqual(parse('').data?.params, {})
  assert.deepEqual(parse(' {"on":true} ').data?.params, { on: true })
  assert.deepEqual(parse('[1,"a",null]').data?.params, [1, 'a', null])
})

test('parameters that are not JSON or too large are an error of that field', () => {
  for (const text of ['{on:true}', '{', 'undefined', `"${'x'.repeat(8_200)}"`]) {
    assert.deepEqual(parse(text).error?.issues[0]?.path, ['params'], text.slice(0, 20))
  }
})

test('a name begins with a letter', () => {
  assert.equal(CommandInput.safeParse({ name: '1x', params: '', ttlSec: 60 }).success, false)
})

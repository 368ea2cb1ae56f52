import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { cel, describe, duration, durationMs, immutable, int32, listMap } from './fields.ts'
import { structuralSchema } from './structural.ts'

test('rules add up, and stay with their schema when more is said about it', () => {
  const schema = describe(
    cel(
      cel(int32(0, 10), 'self != 3', 'must not be 3', (value) => value !== 3),
      'self != 4',
      'must not be 4',
      (value) => value !== 4,
    ),
    'A number.',
  )
  assert.deepEqual(structuralSchema(z.object({ at: schema.default(1) })).properties?.['at'], {
    type: 'integer',
    format: 'int32',
    minimum: 0,
    maximum: 10,
    default: 1,
    description: 'A number.',
    'x-kubernetes-validations': [
      { rule: 'self != 3', message: 'must not be 3' },
      { rule: 'self != 4', message: 'must not be 4' },
    ],
  })
  for (const [value, isGood] of [
    [2, true],
    [3, false],
    [4, false],
  ] as const) {
    assert.equal(schema.safeParse(value).success, isGood)
  }
})

test('an immutable field is a rule about the old value, with the reason in its message', () => {
  const { properties } = structuralSchema(z.object({ mac: immutable(z.string(), 'mac', 'make another') }))
  assert.deepEqual(properties?.['mac']?.['x-kubernetes-validations'], [
    { rule: 'self == oldSelf', message: 'mac is immutable: make another' },
  ])
})

test('durations: what is read is what was meant', () => {
  assert.equal(durationMs('1h2m3s'), 3_723_000)
  assert.equal(durationMs('90s'), 90_000)
  for (const text of ['', '5', '1.5h', '-1s', '1s1h', '0s', '10d'])
    assert.equal(duration().safeParse(text).success, false, text)
  assert.equal(duration('any').safeParse('0s').success, true)
  assert.equal(duration('any').safeParse('').success, false)
})

test('two items with one key are refused', () => {
  const list = listMap(z.object({ name: z.string() }), 'name', 5)
  assert.equal(list.safeParse([{ name: 'a' }, { name: 'b' }]).success, true)
  assert.equal(list.safeParse([{ name: 'a' }, { name: 'a' }]).success, false)
})

test('what a resource definition cannot say is refused with its place', () => {
  const schema = z.object({ list: z.array(z.union([z.string(), z.number()])) })
  assert.throws(() => structuralSchema(schema), /\$\.list\[\]: has no single type/)
  assert.throws(() => structuralSchema(z.object({ any: z.unknown() })), /\$\.any: has no single type/)
  const either = z.union([z.object({ a: z.string() }), z.object({ b: z.string() })])
  assert.throws(() => structuralSchema(z.object({ either })), /can't say "anyOf"; use the helpers/)
})

/** Objects of a kind for property tests: good ones, and ones that are wrong in a place or odd. From its resource definition. */
import fc from 'fast-check'
import type { StructuralSchema } from '#src/crds/structural.ts'

const JUNK = fc.oneof(
  fc.constantFrom<unknown>('', ' ', '-1', '0s', '25%', '101%', 'x'.repeat(400), 'ä/..', true, [], {}),
  fc.integer({ min: -2, max: 3 }),
  fc.constant(2 ** 31),
)

/** Any object of a schema: as often one that is allowed, but perhaps for its rules, as one that is wrong in some place. */
export function valueOf(schema: StructuralSchema): fc.Arbitrary<unknown> {
  return fc.oneof(make(schema, false), make(schema, true))
}

function make(schema: StructuralSchema, isWrong: boolean): fc.Arbitrary<unknown> {
  const good = allowed(schema, isWrong)
  return isWrong ? fc.oneof({ arbitrary: good, weight: 40 }, { arbitrary: JUNK, weight: 1 }) : good
}

function allowed(schema: StructuralSchema, isWrong: boolean): fc.Arbitrary<unknown> {
  if (schema['x-kubernetes-int-or-string'] === true) {
    return fc.oneof(fc.integer({ min: 0, max: 5 }), fc.constantFrom('25%', '100%', '0%'))
  }
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...(schema['enum'] as unknown[]))
  switch (schema.type) {
    case 'object':
      return objectOf(schema, isWrong)
    case 'array':
      return fc.array(make(schema.items!, isWrong), {
        minLength: Number(schema['minItems'] ?? 0),
        maxLength: 3,
      })
    case 'integer':
      return integerOf(schema, isWrong)
    case 'boolean':
      return fc.boolean()
    default:
      return textOf(schema, isWrong)
  }
}

function objectOf(schema: StructuralSchema, isWrong: boolean): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema
  if (additionalProperties !== undefined) {
    const keys = fc.constantFrom('a', 'team', 'example.com/b')
    return fc.dictionary(keys, make(additionalProperties, isWrong), { maxKeys: 2 })
  }
  const fields = Object.entries(properties).map(([name, inner]) => {
    const field = make(inner, isWrong).map((value) => ({ [name]: value }))
    if (required.includes(name) && !isWrong) return field
    const [there, away] = required.includes(name) ? [40, 1] : [1, 2]
    return fc.oneof({ arbitrary: field, weight: there }, { arbitrary: fc.constant({}), weight: away })
  })
  return fc.tuple(...fields).map((parts) => Object.assign({}, ...parts) as unknown)
}

function integerOf(schema: StructuralSchema, isWrong: boolean): fc.Arbitrary<unknown> {
  const min = Number(schema['minimum'] ?? -5)
  const max = Number(schema['maximum'] ?? 100_000)
  const good = fc.oneof(fc.integer({ min, max: Math.min(max, min + 20) }), fc.constantFrom(min, max))
  return isWrong
    ? fc.oneof({ arbitrary: good, weight: 20 }, fc.constantFrom(min - 1, max + 1, min + 0.5))
    : good
}

function textOf(schema: StructuralSchema, isWrong: boolean): fc.Arbitrary<unknown> {
  const min = Number(schema['minLength'] ?? 0)
  const max = Number(schema['maxLength'] ?? 1_000)
  if (schema['format'] === 'date-time')
    return fc.constantFrom('2026-11-21T20:00:00Z', '2026-11-21T21:30:00+01:00')
  const pattern = schema['pattern'] as string | undefined
  if (pattern !== undefined) {
    return fc
      .stringMatching(new RegExp(pattern), { size: '-1' })
      .filter((text) => text.length <= max && text.length >= min)
  }
  const good = fc.string({ minLength: min, maxLength: Math.min(max, 12), unit: LETTER })
  const long = fc.string({ minLength: max, maxLength: max + 1, unit: LETTER, size: 'max' })
  return isWrong ? fc.oneof({ arbitrary: good, weight: 20 }, long) : good
}

const LETTER = fc.constantFrom(...'abcxyz019-_./ ')

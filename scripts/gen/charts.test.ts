import assert from 'node:assert/strict'
import { test } from 'node:test'
import { schemaOfValues } from './charts.ts'

const TEXT = `# About the file.

# How many.
# @schema {"minimum": 0}
replicas: 2

image:
  # Where it is.
  registry: example.com
  tags:
    # Names.
    list: []

# Free inside.
resources:
  limits: { memory: 1Gi }
`

test('values allow their own keys, each of its type, with what the comments say', () => {
  const closed = { type: 'object', additionalProperties: false }
  assert.deepEqual(schemaOfValues(TEXT), {
    ...closed,
    properties: {
      replicas: { description: 'How many.', type: 'integer', minimum: 0 },
      image: {
        ...closed,
        properties: {
          registry: { description: 'Where it is.', type: 'string' },
          tags: { ...closed, properties: { list: { description: 'Names.', type: 'array' } } },
        },
      },
      resources: { description: 'Free inside.', type: 'object' },
      global: { type: 'object' },
    },
  })
})

test('a key that nothing describes is refused by its name', () => {
  assert.throws(() => schemaOfValues('# One.\none: 1\ntwo: 2\n'), /two has no description/)
})

test('a default that tells no type needs one in words', () => {
  assert.throws(() => schemaOfValues('# One.\none: null\n'), /one needs a default that tells its type/)
  const { properties } = schemaOfValues('# One.\n# @schema {"type": ["integer", "null"]}\none: null\n')
  assert.deepEqual(properties, {
    one: { description: 'One.', type: ['integer', 'null'] },
    global: { type: 'object' },
  })
})

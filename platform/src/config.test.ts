import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { ConfigError, defineConfig, flag, list, port, secret } from './config.ts'

const definition = defineConfig({
  name: 'thing',
  description: 'does things',
  variables: {
    PORT: { schema: port(8080), description: 'where it listens' },
    KEY: { schema: secret, description: 'signs', secret: true },
    OPEN: { schema: flag(false), description: 'is open' },
    NAMES: { schema: list, description: 'some names' },
    URL: { schema: z.url().optional(), description: 'elsewhere' },
  },
})
const key = 'correct-horse-battery-staple-0123'

test('parses text into typed values and treats an empty variable as not set', () => {
  const config = definition.load({ PORT: '', KEY: key, OPEN: 'yes', NAMES: 'a, b,,c', URL: '' })
  assert.deepEqual(config, { PORT: 8080, KEY: key, OPEN: true, NAMES: ['a', 'b', 'c'], URL: undefined })
})

test('names every wrong variable at once and no value of a secret', () => {
  assert.throws(
    () => definition.load({ PORT: '99999', KEY: 'short-secret', OPEN: 'perhaps', URL: 'nowhere' }),
    (error) => {
      assert.ok(error instanceof ConfigError)
      for (const name of ['PORT', 'KEY', 'OPEN', 'URL'])
        assert.match(error.message, new RegExp(`\\b${name}: `))
      assert.doesNotMatch(error.message, /short-secret/)
      return true
    },
  )
})

test('refuses a secret that is long but regular', () => {
  assert.throws(() => definition.load({ KEY: 'ab'.repeat(30) }), ConfigError)
})

test('prints every variable with its default in the help, and no secret when redacted', () => {
  const help = definition.help()
  for (const name of Object.keys(definition.variables)) assert.match(help, new RegExp(`^ {2}${name}`, 'm'))
  assert.match(help, /PORT \(default 8080\)/)
  assert.match(help, /KEY \(required\)/)
  const redacted = definition.redact(definition.load({ KEY: key }))
  assert.doesNotMatch(JSON.stringify(redacted), new RegExp(key))
  assert.equal(redacted['PORT'], 8080)
})

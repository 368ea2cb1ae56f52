import assert from 'node:assert/strict'
import { test } from 'node:test'
import { apiConfig } from './config.ts'

const good = {
  DATABASE_URL: 'postgres://localhost/wmoc',
  REDIS_URL: 'redis://localhost',
  INTERNAL_TOKEN: 'internal-token-of-the-tests-0123456789',
  DEVICE_CREDENTIAL_KEY: 'device-credential-key-of-the-tests-0123',
  PASSWORD_PEPPER: 'password-pepper-of-the-tests-0123456789',
  SECRETS_KEY: Buffer.from('0123456789abcdef0123456789abcdef').toString('base64'),
}

test('K10: refuses to start without its secrets, with short and with too regular ones', () => {
  assert.ok(apiConfig.load(good))
  for (const name of ['INTERNAL_TOKEN', 'DEVICE_CREDENTIAL_KEY', 'PASSWORD_PEPPER', 'SECRETS_KEY'] as const) {
    for (const value of [undefined, 'changeme', 'x'.repeat(64)]) {
      assert.throws(() => apiConfig.load({ ...good, [name]: value }), new RegExp(name), `${name}=${value}`)
    }
  }
})

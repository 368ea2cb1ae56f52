import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deviceName } from './user-agent.ts'

test('a browser is named as people know it', () => {
  const chrome =
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36'
  const phone =
    'Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1'
  assert.equal(deviceName(chrome), 'Chrome · Linux')
  assert.equal(deviceName(phone), 'Safari · iOS')
  assert.equal(deviceName(`${chrome} Edg/140.0`), 'Edge · Linux')
  assert.equal(deviceName('something else'), null)
  assert.equal(deviceName(null), null)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textFacts, textKey } from './notification-text.ts'
import { formOf, preferencesOf } from './preferences.ts'

test('a notification is told by its type, or by its reason where that says more', () => {
  assert.equal(textKey({ type: 'controller_offline', data: {} }), 'notice.controller_offline')
  assert.equal(textKey({ type: 'command_failed', data: { reason: 'expired' } }), 'notice.command_expired')
  assert.equal(
    textKey({ type: 'controller_auth_failed', data: { reason: 'conflict' } }),
    'notice.controller_auth_conflict',
  )
})

test('a notification without a name is shown as the server wrote it', () => {
  assert.equal(textFacts({ data: {} }), null)
  assert.deepEqual(textFacts({ data: { controllerName: 'A', reason: '' } }), {
    name: 'A',
    address: '–',
    command: '–',
    reason: '–',
  })
})

test('an alert is told by its description, or by its summary where there is none', () => {
  const data = { alertName: 'WMOCShardDown', severity: 'critical', summary: 'A shard is down.' }
  const facts = { alert: 'WMOCShardDown', severity: 'critical', summary: 'A shard is down.' }
  assert.deepEqual(textFacts({ data }), { ...facts, description: 'A shard is down.' })
  assert.equal(textFacts({ data: { ...data, description: 'It is away.' } })?.['description'], 'It is away.')
})

test('quiet hours switched off keep their times in the form', () => {
  const form = {
    types: [],
    hasQuietHours: true,
    from: '23:00',
    to: '06:30',
    timeZone: 'Europe/Berlin',
  }
  const off = preferencesOf({ ...form, hasQuietHours: false })
  assert.equal(off.channels.email.quietHours, null)
  assert.deepEqual(formOf(off, form), { ...form, hasQuietHours: false })
  assert.deepEqual(preferencesOf(form).channels.email.quietHours, {
    from: '23:00',
    to: '06:30',
    timeZone: 'Europe/Berlin',
  })
})

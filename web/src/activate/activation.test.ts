import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { stepStates } from './activation-steps.ts'
import { formatCode, parseActivation } from './parse-activation.ts'

suite('what was scanned or typed', () => {
  test('is a code in any shape a person or a QR code gives it', () => {
    for (const text of [
      'BCDF-GHJK',
      'bcdfghjk',
      ' bcdf ghjk ',
      '#BCDF-GHJK',
      'https://host.example/activate#BCDF-GHJK',
    ]) {
      assert.deepEqual(parseActivation(text), { kind: 'code', code: 'BCDFGHJK' }, text)
    }
  })

  test('is a token behind #token=', () => {
    const token = 'abcdefghijklmnopqrstuvwx-_'
    assert.deepEqual(parseActivation(`http://localhost:8080/activate#token=${token}`), {
      kind: 'token',
      token,
    })
    assert.equal(parseActivation('#token=short'), null)
    assert.equal(parseActivation('#token=<script>alert(1)</script>aaaaaaa'), null)
  })

  test('is nothing of ours otherwise', () => {
    for (const text of ['', '#', 'hello', 'https://evil.example/', 'AEIO-UAEI', 'BCDF-GHJ', '#%E0%A4%A']) {
      assert.equal(parseActivation(text), null, text)
    }
  })

  test('is shown as it stands on the device while it is typed', () => {
    assert.equal(formatCode('bcdf'), 'BCDF')
    assert.equal(formatCode('bcdfg'), 'BCDF-G')
    assert.equal(formatCode('bcdf-ghjkl'), 'BCDF-GHJK')
    assert.equal(formatCode('b1c2'), 'BC')
  })
})

suite('steps of an activation', () => {
  const states = (...given: Parameters<typeof stepStates>) =>
    stepStates(...given).map(({ step, state }) => `${step} ${state}`)

  test('by code begin with a found device', () => {
    assert.deepEqual(states('pending', false, false), [
      'found done',
      'confirmed done',
      'tunnel now',
      'registered next',
    ])
    assert.deepEqual(states('offline', true, false), [
      'found done',
      'confirmed done',
      'tunnel done',
      'registered now',
    ])
  })

  test('by token wait for the device to come', () => {
    assert.deepEqual(states(null, false, true), [
      'confirmed done',
      'found now',
      'tunnel next',
      'registered next',
    ])
  })

  test('are all done once the controller is online', () => {
    for (const byToken of [true, false]) {
      assert.ok(stepStates('online', true, byToken).every(({ state }) => state === 'done'))
    }
  })
})

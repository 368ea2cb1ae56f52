import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { EXCHANGE_CASES } from './cases/all.ts'
import { parseOptions } from './options.ts'
import { TARGET_DEVICE_CASES } from './target-device.ts'
import { TARGET_GATEWAY_CASES } from './target-gateway.ts'

const cases = [...EXCHANGE_CASES, ...TARGET_DEVICE_CASES, ...TARGET_GATEWAY_CASES]

suite('the kit', () => {
  test('has more than a hundred cases, each with a name of its own and a place in the specification', () => {
    assert.ok(cases.length > 100)
    assert.equal(new Set(cases.map(({ id }) => id)).size, cases.length)
    for (const { id, title, spec } of cases)
      assert.ok(/^[a-z0-9-]+$/.test(id) && title.length > 5 && spec.length > 5, id)
  })

  test('reads its command line', () => {
    assert.deepEqual(parseOptions(['--target', 'device', '--only', 'cut,range-*']), {
      target: 'device',
      listen: { host: '127.0.0.1', port: 9_000 },
      dialect: 'v2',
      patience: 60,
      only: ['cut', 'range-*'],
      list: false,
    })
    assert.equal(parseOptions(['--help']), null)
    for (const [args, words] of [
      [[], 'say --target'],
      [['--target', 'gateway'], 'needs --url'],
      [['--target', 'device', '--listen', '9000'], 'HOST:PORT'],
      [['--target', 'gateway', '--url', 'http://x', '--token', 't'], '--bearer'],
      [['--nonsense'], 'nonsense'],
    ] as const)
      assert.ok(JSON.stringify(parseOptions(args)).includes(words), words)
  })

  test('lists its cases, and says what is wrong with exit code 2', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, [join(import.meta.dirname, 'main.ts'), ...args], { encoding: 'utf8' })
    const listed = run('--list')
    assert.equal(listed.status, 0)
    for (const { id } of cases) assert.ok(listed.stdout.includes(`  ${id}: `), id)
    const wrong = run('--target', 'nothing')
    assert.deepEqual([wrong.status, wrong.stdout.startsWith('--target:')], [2, true])
  })
})

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite, test } from 'node:test'
import { checkTree, violations } from './check-arrows.ts'

const root = join(import.meta.dirname, '..')

suite('import arrows', () => {
  const wrong: [string, string][] = [
    ['protocol/src/codec.ts', "import { x } from '@wmoc/platform/log'"],
    ['protocol/src/codec.ts', "import { createHash } from 'node:crypto'"],
    ['platform/src/log.ts', "import type { X } from '@wmoc/protocol/messages'"],
    ['tunnel-gateway/src/core/hub.ts', "import { WebSocket } from 'ws'"],
    ['tunnel-gateway/src/main.ts', "import { x } from '../../api/src/main.ts'"],
    ['tunnel-gateway/src/main.ts', "import { x } from '@wmoc/testkit/redis'"],
    ['web/src/api.ts', "import { main } from '@wmoc/api/main'"],
    ['web/src/api.ts', "const x = await import('@wmoc/protocol/messages')"],
    ['api/src/modules/commands/service.ts', "import { Controller } from '../controllers/model.ts'"],
    [
      'api/src/modules/commands/service.ts',
      "import { createService } from '#src/modules/controllers/service.ts'",
    ],
    ['api/src/modules/commands/core/state.ts', 'const now = new Date()'],
    ['web/src/Page.vue', '<template><p v-html="text" /></template>'],
  ]
  for (const [path, source] of wrong) {
    test(`refuses ${path}: ${source}`, () => assert.equal(violations(path, source).length, 1))
  }

  const right: [string, string][] = [
    ['protocol/src/codec.ts', "import { z } from 'zod'\nimport { x } from './limits.ts'"],
    ['api/src/main.ts', "import { createLogger } from '@wmoc/platform/log'"],
    [
      'api/src/modules/commands/service.ts',
      "import type { ControllersService } from '../controllers/service.ts'",
    ],
    ['api/src/modules/commands/routes.ts', "import { controllers } from '../controllers/contract.ts'"],
    ['api/src/modules/commands/core/state.ts', 'const then = new Date(at)'],
    ['web/src/api.ts', "import { auth } from '@wmoc/api/contracts/auth'"],
    ['tunnel-gateway/src/device/a.test.ts', "import { testRedis } from '@wmoc/testkit/redis'"],
  ]
  for (const [path, source] of right) {
    test(`allows ${path}: ${source.split('\n')[0]}`, () => assert.deepEqual(violations(path, source), []))
  }

  test('finds the place of a violation in a tree, in statements of several lines too', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'wmoc-arrows-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'protocol/src/deep/a.ts')
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, "import {\n  a,\n} from 'node:fs'\n")
    assert.deepEqual(checkTree(folder), ['protocol/src/deep/a.ts:3 imports node:fs: pure code has no I/O'])
  })
})

suite('purity by oxlint', () => {
  test('refuses clocks, randomness, timers and the environment in protocol and core folders', (t) => {
    // Beside the real sources, so that the real configuration's folders apply; removed at once.
    const folder = mkdtempSync(join(root, 'platform/src/lint-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'core', 'impure.ts')
    mkdirSync(dirname(file))
    const lines = [
      'export const a = Date.now()',
      'export const b = Math.random()',
      'export const c = process.env',
      'export const d = setTimeout(() => {}, 1)',
      'export const e = crypto.randomUUID()',
      'export const f = fetch("http://x")',
    ]
    writeFileSync(file, lines.join('\n'))
    const program = join(root, 'node_modules/.bin/oxlint')
    const result = spawnSync(program, ['--format=unix', file], { cwd: root, encoding: 'utf8' })
    assert.notEqual(result.status, 0)
    for (const [index, line] of lines.entries()) {
      assert.match(result.stdout, new RegExp(`impure\\.ts:${index + 1}:.*no-restricted`), line)
    }
  })
})

/** What `helm test` runs, against three shards on this machine. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { run } from '@wmoc/testkit/process'
import { ROOT } from '../scripts/start/root.ts'
import { openStack } from './support/stack.ts'
import type { TestStack } from './support/stack.ts'

suite('the smoke test of an installation', () => {
  let platform: TestStack
  let folder: string
  before(async () => {
    platform = await openStack({}, { shards: 3 })
    folder = await mkdtemp(join(tmpdir(), 'wmoc-smoke-'))
  })
  after(async () => {
    await platform?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const smoke = async (shards: readonly string[], patienceMs: number) => {
    const file = join(folder, 'sign-in.json')
    writeFileSync(file, JSON.stringify({ url: await platform.signInLink('smoke@wmoc.example') }))
    const child = run(join(ROOT, 'device-sim/src/smoke/main.ts'), {
      env: {
        API_URL: platform.url,
        SHARDS: shards.join(','),
        PUBLIC_URL: platform.url,
        SIGN_IN_FILE: file,
        PATIENCE_MS: String(patienceMs),
      },
    })
    return { code: (await child.ended).code, lines: child.lines }
  }
  const ports = () => platform.stack.gateways().map(({ port }) => `127.0.0.1:${port}`)

  test('takes a controller to one shard, its page through the others, and leaves nothing', async () => {
    const { code, lines } = await smoke(ports(), 60_000)
    assert.equal(lines.at(-1), 'passed through 2 shards', lines.join('\n'))
    assert.equal(code, 0)
    const owner = await platform.signIn('smoke@wmoc.example')
    assert.deepEqual((await owner.api.controllers.list()).items, [])
  })

  test('fails, and says of what, where a shard answers nobody', async () => {
    await platform.stack.kill('gateway-2')
    const gone = ports()
    const { code, lines } = await smoke([...gone, '127.0.0.2:9'], 10_000)
    assert.equal(code, 1)
    assert.ok(lines.includes('the controller is gone'), lines.join('\n'))
    assert.match(lines.at(-1)!, /^failed: the page through 127\.0\.0\.2:9: .*ECONNREFUSED/)
  })
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { run } from '@wmoc/testkit/process'
import { ROOT } from '../start/root.ts'

const HEAD = "import { suite, test, before } from 'node:test'\n"
const FILES: Readonly<Record<string, string>> = {
  'good.test.ts': `${HEAD}suite('s', () => { test('a', () => {}); test('b', () => {}) })`,
  'bad.test.ts': `${HEAD}test('works', () => {}); test('breaks', () => { throw new Error('as it should') })`,
  'skipped.test.ts': `${HEAD}test.skip('left out', () => {})`,
  'empty.test.ts': 'export {}',
  'crash.test.ts': `${HEAD}test('a', () => {}); process.exit(3)`,
  'hook.test.ts': `${HEAD}suite('s', () => { before(() => { throw new Error('hook') }); test('never ran', () => {}) })`,
  'hang.test.ts': `${HEAD}test('a', () => {}); setInterval(() => {}, 1000)`,
}

/** Counts of a run over one of the files, by a process of its own: its output is the failures it tells. */
async function counts(name: string): Promise<{ last: string; text: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc runner '))
  try {
    writeFileSync(join(folder, name), FILES[name]!)
    const script = join(folder, 'script.ts')
    writeFileSync(
      script,
      `import { runFiles } from ${JSON.stringify(join(ROOT, 'scripts/test/run-files.ts'))}
const { signal } = new AbortController()
const { passed, failed } = await runFiles({
  root: ${JSON.stringify(folder)}, files: [${JSON.stringify(name)}], concurrency: 1, timeoutMs: 3_000, signal })
console.log(passed + ' passed, ' + failed + ' failed')`,
    )
    const child = run(script)
    await child.ended
    return { last: child.lines.at(-1)!, text: child.lines.join('\n') }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

suite('the runner', () => {
  const cases: [string, string, RegExp][] = [
    ['good.test.ts', '2 passed, 0 failed', /✔ good/],
    ['bad.test.ts', '1 passed, 1 failed', /✖ breaks \(bad\.test\.ts:2\)[^]*as it should/],
    ['skipped.test.ts', '0 passed, 1 failed', /left out[^]*skipped/],
    ['empty.test.ts', '0 passed, 1 failed', /no tests/],
    ['crash.test.ts', '0 passed, 1 failed', /did not get to them|exit code 3/],
    ['hang.test.ts', '1 passed, 1 failed', /SIGKILL/],
  ]
  for (const [name, last, text] of cases) {
    test(`counts ${name} as ${last}`, async () => {
      const result = await counts(name)
      assert.equal(result.last, last)
      assert.match(result.text, text)
    })
  }

  test('counts a suite whose hook fails as failed', async () => {
    const { last, text } = await counts('hook.test.ts')
    assert.match(last, /^0 passed, [1-9]\d* failed$/)
    assert.match(text, /hook/)
  })
})

test('npm test fails when it finds no tests', async () => {
  const child = run(join(ROOT, 'scripts/test.ts'), { args: ['LICENSE'] })
  const { code } = await child.ended
  assert.equal(code, 1)
  assert.match(child.lines.at(-1)!, /^0 passed, \d+ failed$/)
})

test('names the line to run where a program is missing and nobody is root', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-tools-'))
  const script = join(folder, 'script.ts')
  writeFileSync(
    script,
    `import { ensureTools } from ${JSON.stringify(join(ROOT, 'scripts/ensure-tools.ts'))}
process.getuid = () => 1000
process.env.PATH = '/nonexistent'
try { ensureTools(['chromium']) } catch (error) { console.log(error.message) }`,
  )
  const child = run(script)
  await child.ended
  rmSync(folder, { recursive: true })
  assert.match(child.lines.join('\n'), /sudo apt-get install -y --no-install-recommends chromium/)
})

/** What comes from outside, and what must never be in our own code. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

interface Locked {
  version?: string
  resolved?: string
  integrity?: string
  link?: boolean
  hasInstallScript?: boolean
}
const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, Locked> }
const manifest = JSON.parse(read('package.json')) as { allowScripts: Record<string, boolean> }
const installed = Object.entries(lock.packages).filter(
  ([path, { link }]) => path.includes('node_modules/') && link !== true,
)
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)

test('S1: every package is pinned by its hash and comes from the registry', () => {
  assert.ok(installed.length > 100)
  for (const [path, { version, integrity, resolved }] of installed) {
    assert.match(version ?? '', /^\d+\.\d+\.\d+/, path)
    assert.match(integrity ?? '', /^sha512-/, `${path} has no hash`)
    assert.equal(resolved, undefined, `${path} comes from an address of its own`)
  }
})

test('S1: no package runs a script at its installation that nobody decided on', () => {
  for (const [path, { hasInstallScript }] of installed) {
    if (hasInstallScript === true)
      assert.ok(nameOf(path) in manifest.allowScripts, `${nameOf(path)} is undecided`)
  }
})

test('S2: nothing is older than the release that closed a hole we know of', () => {
  const floors: Record<string, readonly [number, number, number]> = { ws: [8, 21, 0], koa: [3, 1, 2] }
  for (const [path, { version }] of installed) {
    const floor = floors[nameOf(path)]
    if (floor === undefined) continue
    const parts = version!.split('.').map(Number)
    const difference = floor.map((part, index) => parts[index]! - part).find((part) => part !== 0) ?? 0
    assert.ok(difference >= 0, `${path} ${version} is below ${floor.join('.')}`)
  }
})

test('S5: no code is made from text, no shell runs, and no HTML is put in raw', () => {
  const product = ['api', 'device-sim', 'operator', 'platform', 'protocol', 'tunnel-gateway', 'web']
  const files = execFileSync('git', ['ls-files', '--', ...product], { cwd: root, encoding: 'utf8' })
    .split('\n')
    // Pages of the fixture devices do what such pages do: they are what the platform protects from.
    .filter((path) => /\.(ts|vue)$/.test(path) && !path.startsWith('device-sim/src/corpus/'))
  assert.ok(files.length > 100)
  const dangerous =
    /\beval\(|\bnew Function\(|\bexecSync\(|\bshell: true\b|\bv-html\b|\.innerHTML\b|insecureHTTPParser: true/
  for (const file of files.filter((path) => !path.endsWith('.test.ts') && existsSync(join(root, path)))) {
    const found = dangerous.exec(read(file))
    assert.equal(found, null, `${file}: ${found?.[0]}`)
  }
})

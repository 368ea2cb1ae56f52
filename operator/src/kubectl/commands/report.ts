import { writeFile } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { Controllers } from '#src/kinds/controller/schema.ts'
import { TunnelGateways } from '#src/kinds/tunnel-gateway/names.ts'
import { KubeError } from '#src/runtime/errors.ts'
import { resource } from '#src/runtime/objects.ts'
import type { Resource, Stored } from '#src/runtime/objects.ts'
import {
  Events,
  HorizontalPodAutoscalers,
  Leases,
  NetworkPolicies,
  PodDisruptionBudgets,
  Pods,
  Services,
  StatefulSets,
} from '#src/runtime/resources.ts'
import { noArguments } from '../options.ts'
import { redact, redactText } from '../redact.ts'
import type { Session } from '../session.ts'
import { askShard } from '../shards.ts'
import { tar } from '../tar.ts'
import type { TarEntry } from '../tar.ts'

/** No Secrets and no ConfigMaps: people put passwords into both. */
const KINDS: readonly Resource[] = [
  TunnelGateways,
  Controllers,
  resource('wmoc.online/v1alpha1', 'AlertPolicy', 'alertpolicies'),
  StatefulSets,
  resource('apps/v1', 'Deployment', 'deployments'),
  resource('batch/v1', 'Job', 'jobs'),
  Pods,
  Services,
  PodDisruptionBudgets,
  NetworkPolicies,
  HorizontalPodAutoscalers,
  Leases,
  Events,
]
const SINCE_MS = 3_600_000
const MAX_LOG_BYTES = 2_000_000

/** `report`: what the namespace looks like, what the shards say, and the logs of everything of ours. */
export async function report(session: Session): Promise<void> {
  noArguments(session.options)
  const { namespace, options } = session
  const at = new Date()
  const problems: string[] = []
  const [objects, pods] = await Promise.all([allObjects(session, problems), ourPods(session)])
  const perPod = await Promise.all(pods.map((pod) => ofPod(session, pod, problems)))
  const version = await session.client.raw({ path: '/version' })
  const entries = [
    { path: 'version.json', content: version },
    ...objects,
    ...perPod.flat(),
    { path: 'problems.txt', content: problems.map((line) => `${line}\n`).join('') },
  ]
  const archive = gzipSync(tar(entries, at.getTime()))
  const file =
    options.file ?? `wmoc-report-${namespace}-${at.toISOString().slice(0, 19).replaceAll(':', '')}.tar.gz`
  if (file === '-') return session.write(archive)
  await writeFile(file, archive, { mode: 0o600 })
  session.warn(
    `${file}: ${entries.length} files, without Secrets and ConfigMaps; look through it before you send it on\n`,
  )
}

async function allObjects({ client, namespace }: Session, problems: string[]): Promise<TarEntry[]> {
  const lists = await Promise.all(
    KINDS.map(async (kind) => {
      try {
        const { items } = await client.list(kind, { namespace })
        return [{ path: `objects/${kind.plural}.json`, content: JSON.stringify(redact(items), null, 1) }]
      } catch (error) {
        if (!(error instanceof KubeError) || error.reason === 'Aborted') throw error
        problems.push(`${kind.plural}: ${error.message}`)
        return []
      }
    }),
  )
  return lists.flat()
}

async function ourPods({ client, namespace }: Session): Promise<readonly Stored<Pod>[]> {
  const { items } = await client.list(Pods, { namespace, labelSelector: 'app.kubernetes.io/part-of=wmoc' })
  return items
}

async function ofPod(session: Session, pod: Stored<Pod>, problems: string[]): Promise<TarEntry[]> {
  const { name, namespace } = pod.metadata
  const entries: TarEntry[] = []
  const add = (path: string, content: string | null) => {
    if (content !== null && content !== '')
      entries.push({ path: `pods/${name}/${path}`.slice(0, 100), content })
  }
  if (pod.metadata.labels?.['app.kubernetes.io/component'] === 'gateway') {
    const status = await askShard(session, pod, '/status')
    if (status === null) problems.push(`${name} does not tell its status`)
    else add('status.json', JSON.stringify(redact(JSON.parse(status)), null, 1))
    add('metrics.txt', await askShard(session, pod, '/metrics'))
  }
  for (const { name: container } of pod.spec?.containers ?? []) {
    for (const previous of ['false', 'true']) {
      const query = new URLSearchParams({
        container,
        previous,
        sinceSeconds: String(Math.ceil((session.options.sinceMs ?? SINCE_MS) / 1_000)),
        limitBytes: String(MAX_LOG_BYTES),
      })
      const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?${query.toString()}`
      const log = await session.client.raw({ path, timeoutMs: 30_000 }).catch((error: unknown) => {
        if (!(error instanceof KubeError) || error.reason === 'Aborted') throw error
        // Most containers never ran before.
        if (previous === 'false') problems.push(`log of ${name}/${container}: ${error.message}`)
        return null
      })
      add(`${container}${previous === 'true' ? '.previous' : ''}.log`, log === null ? null : redactText(log))
    }
  }
  return entries
}

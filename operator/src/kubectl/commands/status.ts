import { ASKED } from '#src/kinds/tunnel-gateway/names.ts'
import type { Condition } from '#src/runtime/conditions.ts'
import { noArguments } from '../options.ts'
import { print, table } from '../output.ts'
import type { Session } from '../session.ts'
import { listGateways } from '../shards.ts'
import type { Gateway } from '../shards.ts'

/** `status`: one line a gateway, and below what people should know. */
export async function status(session: Session): Promise<void> {
  noArguments(session.options)
  const gateways = await listGateways(session)
  print(session, gateways, () => {
    const head = ['NAME', 'DESIRED', 'READY', 'UPDATED', 'DRAINING', 'TUNNELS', 'VERSION', 'STATUS']
    const rows = gateways.map(({ metadata, spec, status: now }) => [
      session.options.areAllNamespaces ? `${metadata.namespace}/${metadata.name}` : metadata.name,
      spec.replicas,
      now?.readyReplicas ?? null,
      now?.updatedReplicas ?? null,
      now?.drainingReplicas ?? null,
      now?.tunnels ?? null,
      now?.currentVersion ?? null,
      now?.phase ?? 'the operator has not looked at it yet: is it running?',
    ])
    return table(head, rows) + gateways.map(remarks).join('')
  })
}

/** Whether there is nothing to say about it. */
function isFine({ type, status: value, reason }: Condition): boolean {
  if (type === 'Progressing') return reason === 'Complete'
  // The same as Progressing, for other programs.
  if (type === 'Ready' || type === 'Stalled') return true
  return value === (type === 'Draining' ? 'False' : 'True')
}

/** What people asked for and may have forgotten. */
function asked({ metadata, spec }: Gateway): string[] {
  const { name, annotations } = metadata
  return [
    ...(spec.paused ? [`a rollout waits for: kubectl wmoc rollout resume -g ${name}`] : []),
    ...(annotations?.[ASKED.paused] === 'true'
      ? [`the operator leaves it alone until: kubectl annotate tgw ${name} ${ASKED.paused}-`]
      : []),
  ]
}

function remarks(gateway: Gateway): string {
  const open = (gateway.status?.conditions ?? []).filter((condition) => !isFine(condition))
  const lines = [
    ...open.map(({ type, status: value, reason, message }) => `${type}=${value} ${reason}: ${message}`),
    ...asked(gateway),
  ]
  if (lines.length === 0) return ''
  return `\n${gateway.metadata.name}:\n${lines.map((line) => `  ${line}\n`).join('')}`
}

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
  return value === (type === 'Draining' ? 'False' : 'True')
}

function remarks({ metadata, status: now }: Gateway): string {
  const open = (now?.conditions ?? []).filter((condition) => !isFine(condition))
  if (open.length === 0) return ''
  const lines = open.map(
    ({ type, status: value, reason, message }) => `  ${type}=${value} ${reason}: ${message}\n`,
  )
  return `\n${metadata.name}:\n${lines.join('')}`
}

import { askAll, controllerIdOf } from '../controllers.ts'
import type { Where } from '../controllers.ts'
import { UsageError, onlyArgument } from '../options.ts'
import { print, table } from '../output.ts'
import type { Session } from '../session.ts'
import { listGateways, podsOf } from '../shards.ts'

/** `where CONTROLLER`: asks every shard, because what they believe may differ. */
export async function where(session: Session): Promise<void> {
  const id = await controllerIdOf(session, onlyArgument(session.options, 'controller'))
  const gateways = await listGateways(session)
  const pods = (await Promise.all(gateways.map((gateway) => podsOf(session, gateway)))).flat()
  const answers = await askAll(session, pods, id)
  if (answers.length === 0) throw new UsageError('no shard answers; see kubectl wmoc shards')
  const holder = holderOf(answers)
  print(session, { controllerId: id, shard: holder?.pod ?? null, answers }, () => {
    const rows = answers.map(({ pod, tunnel, owner, presence }) => [
      pod,
      tunnel === null
        ? 'no'
        : `yes, ${tunnel.dialect}, epoch ${tunnel.epoch}${tunnel.isLeaving ? ', leaving' : ''}`,
      owner,
      presence === null ? null : presence === 'unknown' ? 'store is away' : presence.shard,
    ])
    const sentence =
      holder === null ? `${id} has no tunnel to any shard that answers\n` : `${id} is on ${holder.pod}\n`
    return `${sentence}\n${table(['SHARD', 'TUNNEL', 'RING SAYS', 'STORE SAYS'], rows)}`
  })
}

/** While a device moves two shards may hold a tunnel: the higher epoch counts. */
function holderOf(answers: readonly Where[]): Where | null {
  const held = answers.filter(({ tunnel }) => tunnel !== null)
  return held.toSorted((a, b) => b.tunnel!.epoch - a.tunnel!.epoch)[0] ?? null
}

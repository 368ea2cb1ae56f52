import { ASKED, SET, TunnelGateways } from '#src/kinds/tunnel-gateway/names.ts'
import { readNames } from '#src/kinds/tunnel-gateway/notes.ts'
import { findCondition } from '#src/runtime/conditions.ts'
import { refOf } from '#src/runtime/objects.ts'
import { StatefulSets } from '#src/runtime/resources.ts'
import { UsageError, onlyArgument } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { theGateway } from '../shards.ts'
import type { Gateway } from '../shards.ts'

interface Action {
  readonly patch: Readonly<Record<string, unknown>>
  readonly done: string
}

/** Reasons of the condition Progressing with which no rollout is under way. */
const AT_REST = ['Complete', 'RolledBack']

const NOT_LOOKED_AT = 'the operator has not looked at it yet: is it running?'

const ACTIONS: Readonly<Record<string, (gateway: Gateway, session: Session) => Action | Promise<Action>>> = {
  pause: ({ spec }) => {
    if (spec.paused) throw new UsageError('the rollout is paused already')
    return { patch: { spec: { paused: true } }, done: 'is paused; scaling and drains go on' }
  },
  resume: ({ spec, metadata }) => {
    const isHeld = metadata.annotations?.[ASKED.paused] === 'true'
    if (!spec.paused && !isHeld) throw new UsageError('nothing is paused')
    return {
      patch: { spec: { paused: false }, metadata: { annotations: { [ASKED.paused]: null } } },
      done: 'goes on',
    }
  },
  abort: (gateway, session) => {
    if (progress(gateway) === '') throw new UsageError(NOT_LOOKED_AT)
    if (AT_REST.includes(progress(gateway))) {
      throw new UsageError('no rollout is under way; to go back, use: kubectl wmoc rollout undo')
    }
    return goBack(gateway, session)
  },
  undo: (gateway, session) => {
    if (progress(gateway) === '') throw new UsageError(NOT_LOOKED_AT)
    if (!AT_REST.includes(progress(gateway))) {
      throw new UsageError('a rollout is under way; to end it, use: kubectl wmoc rollout abort')
    }
    return goBack(gateway, session)
  },
  restart: () => ({
    patch: { metadata: { annotations: { [ASKED.restartedAt]: new Date().toISOString() } } },
    done: 'replaces its shards one after the other',
  }),
}

/** `rollout pause|resume|abort|undo|restart`: says to the operator what is wanted; it does it as its rules allow. */
export async function rollout(session: Session): Promise<void> {
  const names = Object.keys(ACTIONS).join(', ')
  const name = onlyArgument(session.options, `of ${names}`, 'pause')
  const action = ACTIONS[name]
  if (action === undefined)
    throw new UsageError(
      `there is no "rollout ${name}": use one of ${names}; how it goes, kubectl wmoc status says`,
    )
  const gateway = await theGateway(session)
  const { patch, done } = await action(gateway, session)
  const changed = await session.client.merge(TunnelGateways, refOf(gateway), patch)
  print(session, changed, () => `${gateway.metadata.name} ${done}; see kubectl wmoc status\n`)
}

const progress = ({ status }: Gateway) => findCondition(status?.conditions, 'Progressing')?.reason ?? ''

/** What the spec asks for now is not wanted any more; another spec takes its place without a word. */
async function goBack(gateway: Gateway, { client }: Session): Promise<Action> {
  const { metadata, status, spec } = gateway
  const target = status?.rollout?.target
  if (target === undefined) throw new UsageError('the operator has not rolled anything out yet')
  if (metadata.annotations?.[ASKED.rejected] === target || progress(gateway) === 'RolledBack') {
    throw new UsageError('it went back already; change spec.image to roll out another version')
  }
  const set = await client.get(StatefulSets, refOf(gateway))
  const earlier = readNames(set?.metadata.annotations?.[SET.completed]).find((hash) => hash !== target)
  if (earlier === undefined) throw new UsageError('there is no earlier rollout to go back to')
  return {
    patch: {
      metadata: { annotations: { [ASKED.rejected]: target } },
      // A rollout that is held does not go back either.
      ...(spec.paused ? { spec: { paused: false } } : {}),
    },
    done: `goes back to template ${earlier}`,
  }
}

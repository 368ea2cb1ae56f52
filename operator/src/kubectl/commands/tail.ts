import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { CONTAINER } from '#src/kinds/tunnel-gateway/names.ts'
import { pause } from '#src/runtime/clock.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import type { Stored } from '#src/runtime/objects.ts'
import { controllerIdOf } from '../controllers.ts'
import { onlyArgument } from '../options.ts'
import type { Session } from '../session.ts'
import { listGateways, podsOf } from '../shards.ts'

const SINCE_MS = 300_000
const AGAIN_MS = 2_000

/** `tail CONTROLLER`: the lines of all shards that name it, since a device may move at any time. */
export async function tail(session: Session): Promise<void> {
  const id = await controllerIdOf(session, onlyArgument(session.options, 'controller'))
  const followed = new Map<string, Promise<void>>()
  const first = performance.now()
  for (;;) {
    const gateways = await listGateways(session)
    const pods = (await Promise.all(gateways.map((gateway) => podsOf(session, gateway)))).flat()
    // A pod that is new, or whose log ended with its container, is followed from where we were.
    const sinceMs = followed.size === 0 ? (session.options.sinceMs ?? SINCE_MS) : performance.now() - first
    for (const pod of pods.filter(
      ({ metadata, status }) => !followed.has(metadata.uid) && status?.phase === 'Running',
    )) {
      const { uid } = pod.metadata
      followed.set(
        uid,
        followOne(session, pod, id, sinceMs).catch(() => void followed.delete(uid)),
      )
    }
    if (!session.options.isFollowing) {
      await Promise.all(followed.values())
      return
    }
    await pause(AGAIN_MS, session.signal)
    if (session.signal.aborted) return
  }
}

async function followOne(session: Session, pod: Stored<Pod>, id: string, sinceMs: number): Promise<void> {
  const { client, options, signal } = session
  const query = new URLSearchParams({
    container: CONTAINER,
    follow: String(options.isFollowing),
    sinceSeconds: String(Math.max(1, Math.ceil(sinceMs / 1_000))),
  })
  const { namespace, name } = pod.metadata
  try {
    const path = `/api/v1/namespaces/${namespace}/pods/${name}/log?${query.toString()}`
    const decoder = new TextDecoder()
    let rest = ''
    for await (const piece of await client.stream({ path, signal, silenceMs: 0 })) {
      const lines = (rest + decoder.decode(piece, { stream: true })).split('\n')
      rest = lines.pop()!
      for (const line of lines) if (line.includes(id)) session.write(`${name} ${line}\n`)
    }
    if (rest.includes(id)) session.write(`${name} ${rest}\n`)
  } catch (error) {
    if (signal.aborted || isKubeError(error, 'Aborted')) return
    session.warn(`${name}: ${error instanceof Error ? error.message : String(error)}\n`)
    throw error
  }
}

import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { POD } from '#src/kinds/tunnel-gateway/names.ts'
import { pause } from '#src/runtime/clock.ts'
import { refOf } from '#src/runtime/objects.ts'
import type { Stored } from '#src/runtime/objects.ts'
import { Pods } from '#src/runtime/resources.ts'
import { UsageError, onlyArgument } from '../options.ts'
import { print } from '../output.ts'
import type { Session } from '../session.ts'
import { shardPod, shardStatus } from '../shards.ts'

const LOOK_MS = 1_000

/** `drain POD`: asks by annotation, so that it holds whatever becomes of this command. */
export async function drain(session: Session): Promise<void> {
  const pod = await shardPod(session, onlyArgument(session.options, 'pod'))
  await annotate(session, pod, 'true')
  if (session.options.isWaiting) await untilEmpty(session, pod)
  const { name } = pod.metadata
  print(session, { pod: name, drain: true, isEmpty: session.options.isWaiting }, () =>
    session.options.isWaiting
      ? `${name} is empty; take it back by: kubectl wmoc undrain ${name}\n`
      : `${name} is being drained; see kubectl wmoc shards\n`,
  )
}

/** `undrain POD`: takes the annotation off. */
export async function undrain(session: Session): Promise<void> {
  const pod = await shardPod(session, onlyArgument(session.options, 'pod'))
  if (pod.metadata.annotations?.[POD.drain] !== 'true') {
    throw new UsageError(`nobody asked ${pod.metadata.name} to drain; see kubectl wmoc shards`)
  }
  await annotate(session, pod, null)
  print(session, { pod: pod.metadata.name, drain: false }, () => `${pod.metadata.name} is taken back\n`)
}

async function annotate({ client }: Session, pod: Stored<Pod>, value: 'true' | null): Promise<void> {
  await client.merge(Pods, refOf(pod), { metadata: { annotations: { [POD.drain]: value } } })
}

async function untilEmpty(session: Session, pod: Stored<Pod>): Promise<void> {
  const { signal, options } = session
  const endsAt = performance.now() + options.timeoutMs
  let last = ''
  for (;;) {
    const status = await shardStatus(session, pod)
    if (status !== null && status.isDraining && status.tunnels + status.inFlight === 0) return
    const line =
      status === null ? 'does not answer' : `${status.tunnels} tunnels, ${status.inFlight} requests`
    if (line !== last) session.warn(`${pod.metadata.name}: ${line}\n`)
    last = line
    if (performance.now() > endsAt) {
      throw new UsageError(`${pod.metadata.name} is not empty yet (${line}); it goes on without --wait`)
    }
    await pause(LOOK_MS, signal)
    signal.throwIfAborted()
  }
}

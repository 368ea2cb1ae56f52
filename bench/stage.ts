/** Everything that a comparison needs, running: an upstream, our shards and controllers before it, and the peers. */
import { fileURLToPath } from 'node:url'
import { startChild } from './children.ts'
import type { BenchCluster } from './gateway.ts'
import type { Context, Running, Subject } from './plan.ts'
import { startPeers } from './subjects/peers.ts'
import { startWmoc } from './subjects/wmoc.ts'

export interface Stage extends Running {
  /** The upstream without any tunnel: what a `node:http` server costs that only answers. */
  readonly floor: Subject
  readonly cluster: BenchCluster
  /** How each subject is set up, and which peers were not found. */
  readonly notes: readonly string[]
}

const UPSTREAM = fileURLToPath(new URL('./processes/upstream.ts', import.meta.url))

export async function startStage(
  context: Context,
  { withHop, withPeers }: { withHop: boolean; withPeers: boolean },
): Promise<Stage> {
  const upstream = startChild(UPSTREAM, [])
  const port = Number(await upstream.waitFor(/^\d+$/))
  const url = `http://127.0.0.1:${port}`
  const own = await startWmoc(url, withHop)
  const peers = withPeers ? await startPeers(url, context.path) : { subjects: [], skipped: [], stop: noop }
  const floor: Subject = {
    name: 'no tunnel',
    note: 'the upstream itself, a `node:http` server that only answers: its own CPU',
    target: { host: '127.0.0.1', port, prefix: '', headers: { Host: 'bench.test' } },
    serverPids: [upstream.pid],
  }
  const subjects = [...own.subjects, ...peers.subjects]
  return {
    subjects,
    floor,
    cluster: own.cluster,
    notes: peers.skipped.map((name) => `**${name}**: not on the PATH, skipped.`),
    async stop() {
      await peers.stop()
      await own.stop()
      await upstream.kill()
    },
  }
}

const noop = () => Promise.resolve()

/** A note for each subject, names of equal notes together. */
export function notesOf(subjects: readonly Subject[]): string[] {
  const groups = Map.groupBy(subjects, ({ note }) => note)
  return [...groups].map(([note, group]) => `**${group.map(({ name }) => name).join('**, **')}**: ${note}.`)
}

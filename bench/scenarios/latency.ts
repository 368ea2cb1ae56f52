/** How soon something that happens at one end is known at the other. */
import type { Cell, Context, FigureName, Scenario, Subject } from '../plan.ts'
import { type Probe, startProbe } from '../probe.ts'
import { notesOf } from '../stage.ts'
import { percentile } from '../stats.ts'
import { startPeers } from '../subjects/peers.ts'
import { startWmoc } from '../subjects/wmoc.ts'

interface Look {
  readonly name: string
  readonly title: string
  readonly help: string
  readonly about: string
  readonly figure: FigureName
  /** Which of the times the goal is about. */
  readonly share: number
  ask(probe: Probe, subject: Subject): Promise<number>
}

function scenarioOf(look: Look): Scenario {
  return {
    name: look.name,
    help: look.help,
    async run(context: Context) {
      const probe = await startProbe()
      const own = await startWmoc(probe.url, true)
      const peers = await startPeers(probe.url, context.path)
      const subjects = [...own.subjects, ...peers.subjects]
      const times = new Map(subjects.map(({ name }) => [name, [] as number[]]))
      const rounds = context.isQuick ? 5 : 50
      for (let round = 0; round < rounds + 3; round++) {
        for (const subject of subjects) {
          const tookMs = await look.ask(probe, subject)
          // The first ones meet cold code.
          if (round >= 3) times.get(subject.name)!.push(tookMs)
        }
      }
      await peers.stop()
      await own.stop()
      probe.stop()
      const sorted = [...times].map(([name, all]) => ({ name, all: all.toSorted((a, b) => a - b) }))
      const at = (all: readonly number[], share: number) => percentile(all, share).toFixed(1)
      return {
        title: look.title,
        about: `${look.about} ${rounds} times each, in turn.`,
        headings: ['', 'p50 ms', 'p99 ms', 'longest ms'],
        rows: sorted.map(({ name, all }): Cell[] => [name, at(all, 0.5), at(all, 0.99), at(all, 1)]),
        notes: [
          ...notesOf(subjects),
          ...peers.skipped.map((name) => `**${name}**: not on the PATH, skipped.`),
        ],
        figures: {
          [look.figure]: Math.max(
            ...sorted
              .filter(({ name }) => name.startsWith('WMOC v2'))
              .map(({ all }) => percentile(all, look.share)),
          ),
        },
      }
    },
  }
}

export const sse = scenarioOf({
  name: 'sse',
  title: 'First byte of an event stream',
  help: 'time to the first event of an event stream',
  about:
    'From a request for an event stream to its first event, which the upstream writes at once and then nothing more.',
  figure: 'sseFirstByteMs',
  share: 0.5,
  ask: (probe, { target }) => probe.firstEventMs(target),
})

export const cancel = scenarioOf({
  name: 'cancel',
  title: 'Cancellation',
  help: 'time until the web server behind a controller knows that the user has left',
  about:
    'From a user’s leaving in the middle of an endless answer of 3 MB/s until the web server behind the controller’s agent sees its connection close.',
  figure: 'cancelMs',
  share: 0.99,
  ask: (probe, { target }) => probe.cancelMs(target),
})

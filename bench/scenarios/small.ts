/** Small requests at several numbers of connections, over kept connections. */
import type { Measurement } from '../load.ts'
import { measureInTurn } from '../load.ts'
import type { Cell, Scenario } from '../plan.ts'
import { notesOf, startStage } from '../stage.ts'

const CONNECTIONS = [1, 64, 256]

export const LOAD_HEADINGS = [
  '',
  'connections',
  'req/s',
  'p50 ms',
  'p99 ms',
  'CPU µs/req',
  'lowest',
  'CPU to WMOC v2',
  'failed',
] as const

export const small: Scenario = {
  name: 'small',
  help: 'GET of 1,024 bytes at 1, 64 and 256 connections',
  async run(context) {
    const stage = await startStage(context, { withHop: false, withPeers: true })
    const subjects = [...stage.subjects, stage.floor]
    const found = await measureInTurn(
      context,
      subjects,
      CONNECTIONS.map((connections) => ({ connections })),
    )
    await stage.stop()
    const cpuAt64 = (name: string) =>
      found.find(({ subject, connections }) => subject === name && connections === 64)?.cpuPerRequestUs ??
      Number.NaN
    return {
      title: 'Small requests',
      about: 'GET of 1,024 bytes over kept connections, each with one request under way.',
      headings: LOAD_HEADINGS,
      rows: loadRows(found),
      notes: [...notesOf(subjects), ...stage.notes, generatorNote(found)],
      figures: { smallCpuUs: cpuAt64('WMOC v2'), smallCpuUsV1: cpuAt64('WMOC v1') },
    }
  },
}

export function loadRows(found: readonly Measurement[]): Cell[][] {
  return found.map((one) => {
    const own = found.find(
      ({ subject, connections }) => subject === 'WMOC v2' && connections === one.connections,
    )
    return [
      one.subject,
      one.connections,
      one.requestsPerSecond.toFixed(0),
      one.p50Ms.toFixed(2),
      one.p99Ms.toFixed(2),
      one.cpuPerRequestUs?.toFixed(0) ?? null,
      one.cpuLowestUs?.toFixed(0) ?? null,
      own?.cpuPerRequestUs && one.cpuPerRequestUs
        ? `${(one.cpuPerRequestUs / own.cpuPerRequestUs).toFixed(2)} ×`
        : null,
      one.failures === 0 ? 0 : one.reasons,
    ]
  })
}

export function generatorNote(found: readonly Measurement[]): string {
  const busiest = Math.max(...found.map(({ generatorCpu }) => generatorCpu))
  return `The generator took at most ${(busiest * 100).toFixed(0)} % of one core.`
}

/** Runs of the load generator against one subject, and their medians. */
import { fileURLToPath } from 'node:url'
import { startChild } from './children.ts'
import type { Context, Subject, Target } from './plan.ts'
import { cpuTimeUs } from './proc.ts'
import { median } from './stats.ts'

export interface LoadPlan {
  readonly target: Target
  readonly connections: number
  readonly warmupMs: number
  readonly measureMs: number
  /** A connection for each request. */
  readonly isNewConnection: boolean
  /** Each connection asks at most so often; 0: at once after each answer. */
  readonly everyMs: number
}

export interface LoadFigures {
  /** Answered with 200 and the whole body. */
  readonly requests: number
  /** By reason. */
  readonly failures: Readonly<Record<string, number>>
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Share of one core that the generator took: near 1 it is the bottleneck. */
  readonly generatorCpu: number
}

export interface Measurement {
  readonly subject: string
  readonly connections: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** CPU time of the processes in the middle; null: there are none. */
  readonly cpuPerRequestUs: number | null
  /** Of the round with the least: what else a machine does only adds. */
  readonly cpuLowestUs: number | null
  readonly generatorCpu: number
  readonly failures: number
  /** What failed, in words; empty: nothing. */
  readonly reasons: string
}

export type LoadOptions = Pick<LoadPlan, 'connections' | 'warmupMs' | 'measureMs'> &
  Partial<Pick<LoadPlan, 'isNewConnection' | 'everyMs'>>

const LOAD = fileURLToPath(new URL('./processes/load.ts', import.meta.url))

/** One run. CPU is counted from the end of the warm-up to the end of the measurement. */
export async function measure(subject: Subject, options: LoadOptions): Promise<Measurement> {
  const plan: LoadPlan = { isNewConnection: false, everyMs: 0, ...options, target: subject.target }
  const load = startChild(LOAD, [JSON.stringify(plan)])
  await load.waitFor(/^measuring$/)
  const cpuBefore = cpuTimeUs(subject.serverPids)
  const line = await load.waitFor(/^\{/, plan.measureMs + 20_000)
  const cpuUs = cpuTimeUs(subject.serverPids) - cpuBefore
  await load.ended
  const figures = JSON.parse(line) as LoadFigures
  const { requests, seconds, p50Ms, p99Ms, maxMs, generatorCpu } = figures
  const cpuPerRequestUs = subject.serverPids.length === 0 ? null : cpuUs / requests
  return {
    subject: subject.name,
    connections: plan.connections,
    requestsPerSecond: requests / seconds,
    p50Ms,
    p99Ms,
    maxMs,
    cpuPerRequestUs,
    cpuLowestUs: cpuPerRequestUs,
    generatorCpu,
    failures: Object.values(figures.failures).reduce((sum, count) => sum + count, 0),
    reasons: Object.entries(figures.failures)
      .map(([reason, count]) => `${count} × ${reason}`)
      .join(', '),
  }
}

/** Requests after which just-in-time compilers have done their work. */
const WARM_REQUESTS = 25_000
const WARM_MS = 25_000

/** Lets the subject's code get warm; on a busy machine that takes longer. */
async function warmUp(subject: Subject, isQuick: boolean): Promise<void> {
  const startedAt = performance.now()
  const measureMs = isQuick ? 1_000 : 4_000
  for (let requests = 0; requests < WARM_REQUESTS && performance.now() - startedAt < WARM_MS;) {
    const one = await measure(subject, { connections: 64, warmupMs: 0, measureMs })
    requests += (one.requestsPerSecond * measureMs) / 1_000
    if (isQuick) return
  }
}

/** Every subject in turn, round after round, so that what else the machine does meets all of them. */
export async function measureInTurn(
  context: Context,
  subjects: readonly Subject[],
  options: readonly (Omit<LoadOptions, 'warmupMs' | 'measureMs'> & { readonly connections: number })[],
): Promise<Measurement[]> {
  const { measureMs, log } = context
  for (const subject of subjects) await warmUp(subject, context.isQuick)
  const all: Measurement[] = []
  for (let round = 1; round <= context.rounds; round++) {
    for (const option of options) {
      for (const subject of round % 2 === 0 ? subjects.toReversed() : subjects) {
        const one = await measure(subject, { ...option, warmupMs: 500, measureMs })
        all.push(one)
        const cpu = one.cpuPerRequestUs === null ? '' : `, ${one.cpuPerRequestUs.toFixed(0)} µs CPU`
        log(
          `round ${round}, ${one.connections} × ${one.subject}: ${one.requestsPerSecond.toFixed(0)}/s${cpu}`,
        )
      }
    }
  }
  return summarise(all, subjects)
}

/** The rounds of one subject at one number of connections as one: medians, and all failures. In order of `subjects`. */
export function summarise(
  measurements: readonly Measurement[],
  subjects: readonly { readonly name: string }[],
): Measurement[] {
  const groups = Map.groupBy(measurements, ({ subject, connections }) => `${connections} ${subject}`)
  const order = new Map(subjects.map(({ name }, index) => [name, index]))
  return [...groups.values()]
    .map((group) => {
      const middle = (pick: (one: Measurement) => number) => median(group.map(pick))
      return {
        ...group[0]!,
        requestsPerSecond: middle((one) => one.requestsPerSecond),
        p50Ms: middle((one) => one.p50Ms),
        p99Ms: middle((one) => one.p99Ms),
        maxMs: middle((one) => one.maxMs),
        cpuPerRequestUs:
          group[0]!.cpuPerRequestUs === null ? null : middle((one) => one.cpuPerRequestUs ?? 0),
        cpuLowestUs:
          group[0]!.cpuLowestUs === null
            ? null
            : Math.min(...group.map((one) => one.cpuLowestUs ?? Infinity)),
        generatorCpu: middle((one) => one.generatorCpu),
        failures: group.reduce((sum, one) => sum + one.failures, 0),
        reasons: group.flatMap(({ reasons }) => reasons || []).join(', '),
      }
    })
    .toSorted((a, b) => a.connections - b.connections || order.get(a.subject)! - order.get(b.subject)!)
}

/** One run of the generator against one subject. */
import { fileURLToPath } from 'node:url'
import { startChild } from './children.ts'
import { BODY_BYTES, type LoadFigures, type LoadPlan, type Measurement, type Subject } from './plan.ts'
import { cpuTimeUs } from './proc.ts'

const LOAD = fileURLToPath(new URL('./processes/load.ts', import.meta.url))

/** CPU is counted from the end of the warm-up to the end of the measurement. */
export async function measure(
  subject: Subject,
  connections: number,
  times: { warmupMs: number; measureMs: number },
): Promise<Measurement> {
  const plan: LoadPlan = { ...subject.target, ...times, connections, bodyBytes: BODY_BYTES }
  const load = startChild(LOAD, [JSON.stringify(plan)])
  const cpu = () => (subject.serverPid === null ? 0 : cpuTimeUs(subject.serverPid))
  await load.waitFor(/^measuring$/)
  const before = { server: cpu(), generator: cpuTimeUs(load.pid) }
  await new Promise((resolve) => setTimeout(resolve, times.measureMs))
  const after = { server: cpu(), generator: cpuTimeUs(load.pid) }
  const figures = JSON.parse(await load.waitFor(/^\{/)) as LoadFigures
  await load.ended
  const failures = Object.values(figures.failures).reduce((sum, count) => sum + count, 0)
  if (failures > 0)
    console.log(`  ${subject.name} at ${connections}: failures ${JSON.stringify(figures.failures)}`)
  return {
    subject: subject.name,
    connections,
    requestsPerSecond: figures.requests / figures.seconds,
    p50Ms: figures.p50Ms,
    p99Ms: figures.p99Ms,
    cpuPerRequestUs: subject.serverPid === null ? null : (after.server - before.server) / figures.requests,
    generatorCpu: (after.generator - before.generator) / 1_000 / times.measureMs,
    failures,
  }
}

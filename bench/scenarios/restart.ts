/** Every shard is replaced in turn while people use their controllers: the short form of `npm run soak`. */
import { fileURLToPath } from 'node:url'
import { startIngress } from '../../scripts/start/ingress.ts'
import { type BenchChild, sleep, startChild } from '../children.ts'
import { startCluster } from '../gateway.ts'
import { type Measurement, measure } from '../load.ts'
import type { Cell, Scenario, Subject } from '../plan.ts'
import { DIALECTS, startDevice } from '../subjects/wmoc.ts'

const UPSTREAM = fileURLToPath(new URL('../processes/upstream.ts', import.meta.url))
const SHARDS = 3
const CONTROLLERS_OF_EACH = 2
const HOST = '127.0.0.1'
/** 2 connections to each of 4 controllers, 25 requests a second each: 200 in all. */
const LOAD = { connections: 2, everyMs: 40, warmupMs: 1_000 }

export const restart: Scenario = {
  name: 'restart',
  help: 'three shards replaced in turn under 200 requests a second',
  async run(context) {
    const upstream = startChild(UPSTREAM, [])
    const url = `http://${HOST}:${await upstream.waitFor(/^\d+$/)}`
    const cluster = await startCluster(SHARDS)
    const ingress = await startIngress({ port: 0, hosts: [HOST], portal: (_, response) => response.end() })
    ingress.open({
      api: { host: HOST, port: Number(new URL(cluster.controlPlane.url).port) },
      gateways: () =>
        cluster.gateways.map(({ name, port, adminPort }) => ({ host: HOST, port, shard: name, adminPort })),
    })
    const devices: BenchChild[] = []
    const subjects: Subject[] = []
    for (const dialect of DIALECTS) {
      for (let index = 0; index < CONTROLLERS_OF_EACH; index++) {
        const { child, prefix } = await startDevice(cluster, ingress.port, url, dialect)
        devices.push(child)
        const headers = {
          Host: `localhost:${ingress.port}`,
          Authorization: `Bearer ${cluster.controlPlane.accessToken}`,
        }
        const target = { host: HOST, port: ingress.port, prefix, headers }
        subjects.push({ name: dialect, note: '', target, serverPids: [] })
      }
    }
    // Shards are replaced while the load runs; its length is not known before, so the load is measured in one piece.
    const measureMs = context.isQuick ? 45_000 : 90_000
    const runs = subjects.map((subject) => measure(subject, { ...LOAD, measureMs }))
    const startedAt = performance.now()
    await sleep(3_000)
    let replaced = 0
    for (const gateway of cluster.gateways.slice()) {
      if (performance.now() - startedAt > measureMs - 20_000) break
      await cluster.replace(gateway)
      replaced += 1
      context.log(`${gateway.name} replaced after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`)
    }
    const found = await Promise.all(runs)
    for (const device of devices) await device.kill()
    await ingress.stop(0)
    await cluster.stop()
    await upstream.kill()
    return {
      title: 'Rolling restart',
      about:
        `${SHARDS} shards behind the one-machine ingress, ${subjects.length} controllers' agents, 200 requests a second over ` +
        `${measureMs / 1_000} s; ${replaced} shards were replaced meanwhile, each by a new process that was ready before the old ` +
        'one was asked to go. `npm run soak` does this with 500 controllers, event streams, WebSockets and uploads.',
      headings: ['', 'requests', 'failed', 'p50 ms', 'p99 ms', 'longest ms'],
      rows: found.map((one): Cell[] => [
        `agent, ${one.subject}`,
        requestsOf(one, measureMs),
        one.failures === 0 ? 0 : one.reasons,
        one.p50Ms.toFixed(1),
        one.p99Ms.toFixed(1),
        one.maxMs.toFixed(0),
      ]),
      notes: [],
      figures:
        replaced < SHARDS
          ? {}
          : {
              restartFailed: found.reduce((sum, { failures }) => sum + failures, 0),
              restartGapMs: Math.max(...found.map(({ maxMs }) => maxMs)),
            },
    }
  },
}

function requestsOf({ requestsPerSecond }: Measurement, measureMs: number): string {
  return ((requestsPerSecond * measureMs) / 1_000).toFixed(0)
}

/** People who use the controllers of `fleet.ts`: requests at a fixed rate, streams of events, WebSockets, slow uploads. */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { percentile } from '../../bench/stats.ts'
import { askOnce } from './ask.ts'
import type { Asked } from './ask.ts'
import type { FleetDevice } from './fleet.ts'
import { KINDS } from './kinds.ts'
import { createSocketUser, createStreamUser, createUploadUser } from './long-users.ts'
import type { LongReport, LongUser } from './long-users.ts'

export interface LoadOptions {
  /** Each in turn: the ingress, or gateways. */
  readonly ports: readonly number[]
  readonly devices: readonly FleetDevice[]
  /** Asked for each request. */
  readonly token: () => string
  readonly perSecond: number
  /** At the same time; on devices that speak v2. */
  readonly streams?: number
  readonly sockets?: number
  /** At the same time, of 128 KB each. */
  readonly uploads?: number
  /** How long one takes; default 4,000. */
  readonly uploadMs?: number
}

export interface Failure {
  readonly path: string
  readonly port: number
  readonly controllerId: string
  readonly status: number
  readonly why: string
  /** By this machine's clock. */
  readonly startedAt: number
}

export interface LoadReport {
  readonly requests: number
  readonly posts: number
  /** Not answered rightly. */
  readonly failed: number
  /** The first thousand. */
  readonly failures: readonly Failure[]
  /** Milliseconds from the call to the last byte. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number }
  /** Longest time between two good answers, of whichever requests. */
  readonly longestGapMs: number
  /** Longest that this process itself, which asks and carries the ingress, did nothing. */
  readonly stoodStillMs: number
  readonly streams: LongReport
  readonly sockets: LongReport
  readonly uploads: LongReport
  /** Paths of POSTs and uploads that were answered well. */
  readonly answeredPosts: readonly string[]
}

export interface Load {
  /** Requests so far. */
  readonly requests: number
  readonly failed: number
  /** The first thousand so far. */
  readonly failures: readonly Failure[]
  /** No new requests; resolves when those under way are answered. */
  stop(): Promise<LoadReport>
}

/** Begins at once. */
export function startLoad(options: LoadOptions): Load {
  // Bounded: else a slow moment is answered with a storm of connections, which is another test.
  const agent = new Agent({ keepAlive: true, maxSockets: 256, maxFreeSockets: 256, timeout: 5_000 })
  /** One load's paths are not another's. */
  const mark = randomBytes(4).toString('hex')
  const failures: Failure[] = []
  const answeredPosts: string[] = []
  const latencies: number[] = []
  let requests = 0
  let posts = 0
  let failed = 0
  let lastGoodAt = performance.now()
  let longestGapMs = 0
  const standstill = monitorEventLoopDelay({ resolution: 10 })
  standstill.enable()
  const ending = new AbortController()
  const underWay = new Set<Promise<void>>()

  function tell(asked: Asked): void {
    if (asked.problem === null) {
      const now = performance.now()
      longestGapMs = Math.max(longestGapMs, now - lastGoodAt)
      lastGoodAt = now
      latencies.push(asked.ms)
      if (asked.method === 'POST') answeredPosts.push(asked.path)
    } else {
      failed += 1
      const { path, port, status, problem, device, startedAt } = asked
      if (failures.length < 1_000)
        failures.push({ path, port, controllerId: device.controller_id, status, why: problem, startedAt })
    }
  }

  const target = (n: number) => ({
    agent,
    port: options.ports[n % options.ports.length]!,
    // Another step than the ports', so that each port sees each device.
    device: options.devices[(n * 7 + Math.floor(n / options.devices.length)) % options.devices.length]!,
    token: options.token(),
  })

  async function request(n: number): Promise<void> {
    const isPost = n % 5 < 2
    requests += 1
    if (isPost) posts += 1
    tell(
      await askOnce({
        ...target(n),
        method: isPost ? 'POST' : 'GET',
        key: `${mark}-${n}`,
        body: isPost ? `${n}`.repeat(50) : null,
      }),
    )
  }

  async function run(): Promise<void> {
    const startedAt = performance.now()
    while (!ending.signal.aborted) {
      const due = ((performance.now() - startedAt) / 1_000) * options.perSecond
      while (requests < due && !ending.signal.aborted) {
        const work = request(requests)
        underWay.add(work)
        void work.finally(() => underWay.delete(work))
      }
      await sleep(5)
    }
  }

  const live = options.devices.filter(({ kind }) => KINDS[kind].protocol === 'v2')
  const users = (count: number | undefined, devices: readonly FleetDevice[], make: typeof createStreamUser) =>
    Array.from({ length: count ?? 0 }, (_, index) =>
      make({
        port: () => options.ports[index % options.ports.length]!,
        device: devices[index % devices.length]!,
        token: options.token,
        name: `${mark}-${index}`,
        uploadMs: options.uploadMs ?? 4_000,
        onPost: (path) => answeredPosts.push(path),
      }),
    )
  const streams = users(options.streams, live, createStreamUser)
  const sockets = users(options.sockets, live, createSocketUser)
  const uploads = users(options.uploads, options.devices, createUploadUser)
  const running = run()

  return {
    get requests() {
      return requests
    },
    get failed() {
      return failed
    },
    failures,
    async stop() {
      ending.abort()
      await running
      const [streamReport, socketReport, uploadReport] = await Promise.all(
        [streams, sockets, uploads].map(stopAll),
      )
      await Promise.all(underWay)
      agent.destroy()
      standstill.disable()
      const sorted = latencies.toSorted((a, b) => a - b)
      return {
        requests,
        posts,
        failed,
        failures,
        latency: { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) ?? 0 },
        longestGapMs,
        stoodStillMs: standstill.max / 1e6,
        streams: streamReport!,
        sockets: socketReport!,
        uploads: uploadReport!,
        answeredPosts,
      }
    },
  }
}

async function stopAll(users: readonly LongUser[]): Promise<LongReport> {
  const reports = await Promise.all(users.map((user) => user.stop()))
  const sum = (read: (report: LongReport) => number) =>
    reports.reduce((total, report) => total + read(report), 0)
  return {
    opened: sum((report) => report.opened),
    messages: sum((report) => report.messages),
    endedCleanly: sum((report) => report.endedCleanly),
    cut: sum((report) => report.cut),
    refused: sum((report) => report.refused),
    longestGapMs: Math.max(0, ...reports.map((report) => report.longestGapMs)),
    problems: reports.flatMap((report) => report.problems).slice(0, 20),
  }
}

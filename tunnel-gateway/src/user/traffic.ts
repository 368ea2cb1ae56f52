/**
 * What the metrics say of users' requests, counted in plain numbers: a request costs a few additions, and the labels
 * are put together when somebody reads them. Every label comes from a closed set, and their number is bounded.
 */
import { bytesPassed } from '#src/buffer-garbage.ts'
import type { StreamFailure } from '#src/core/upstream.ts'
import type { GatewayMetrics } from '#src/gateway-metrics.ts'

export type Outcome = 'ok' | 'user_left' | 'rate_limited' | 'shed' | 'refused' | StreamFailure

/** `none`: it never came so far as to know where the tunnel is. */
export type Hop = 'local' | 'peer' | 'none'

export interface Finished {
  readonly method: string
  /** Of the answer that went out; 0: none did. */
  readonly status: number
  readonly outcome: Outcome
  readonly hop: Hop
  readonly seconds: number
  /** Empty: it has none. */
  readonly traceId: string
}

export interface Traffic {
  finished(request: Finished): void
  fromDevice(bytes: number): void
  toDevice(bytes: number): void
}

/** Upper bounds of the buckets, in seconds. */
export const DURATION_BUCKETS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300,
]

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'other'] as const
const METHOD_AT = new Map<string, number>(METHODS.map((method, index) => [method, index]))
/** Told one by one where the device answered; everything else by its class. */
const STATUSES = [
  101, 200, 201, 202, 204, 206, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 409, 412, 413, 416,
  422, 429, 500, 501, 502, 503, 504,
]
const STATUS_LABELS = new Map(STATUSES.map((status) => [status, String(status)]))

interface Cell {
  readonly labels: { method: string; code: string; outcome: string; hop: string }
  count: number
  told: number
}

interface Exemplar {
  readonly traceId: string
  readonly value: number
  /** Seconds since 1970. */
  readonly at: number
}

interface Durations {
  readonly buckets: number[]
  readonly exemplars: (Exemplar | undefined)[]
  sum: number
}

/** Counts for `metrics`, which tell it when they are read. */
export function createTraffic(metrics: GatewayMetrics): Traffic {
  const cells = new Map<string, Cell>()
  const durations = new Map<Outcome, Durations>()
  const bytes = { from_device: 0, to_device: 0 }

  /** Of the request before, which was mostly one like this. */
  let latest: { readonly of: Finished; readonly cell: Cell } | null = null

  function count(request: Finished): void {
    if (latest === null || !isAlike(latest.of, request)) latest = { of: request, cell: cellOf(request) }
    latest.cell.count += 1
  }

  function cellOf({ method, status, outcome, hop }: Finished): Cell {
    const at = METHOD_AT.get(method) ?? METHODS.length - 1
    const code = codeLabel(status, outcome)
    const key = `${outcome}${hop}${at}${code}`
    let cell = cells.get(key)
    if (cell === undefined) {
      cell = { labels: { method: METHODS[at]!, code, outcome, hop }, count: 0, told: 0 }
      cells.set(key, cell)
    }
    return cell
  }

  function observe({ outcome, seconds, traceId }: Finished): void {
    let known = durations.get(outcome)
    if (known === undefined) {
      const zeros = Array.from({ length: DURATION_BUCKETS.length + 1 }, () => 0)
      known = { buckets: zeros, exemplars: [], sum: 0 }
      durations.set(outcome, known)
    }
    let at = 0
    while (at < DURATION_BUCKETS.length && seconds > DURATION_BUCKETS[at]!) at += 1
    known.buckets[at]! += 1
    known.sum += seconds
    if (traceId !== '') known.exemplars[at] = { traceId, value: seconds, at: Date.now() / 1_000 }
  }

  Object.assign(metrics.requests, {
    collect() {
      for (const cell of cells.values()) {
        metrics.requests.inc(cell.labels, cell.count - cell.told)
        cell.told = cell.count
      }
    },
  })
  Object.assign(metrics.bytes, {
    collect() {
      for (const direction of ['from_device', 'to_device'] as const) {
        metrics.bytes.inc({ direction }, bytes[direction])
        bytes[direction] = 0
      }
    },
  })
  const { name, help, type, aggregator } = metrics.duration as unknown as Described
  const read = () => {
    const values = [...durations].flatMap(([outcome, known]) => histogramValues(name, outcome, known))
    return Promise.resolve({ name, help, type, aggregator, values })
  }
  Object.assign(metrics.duration, { get: read, getForPromString: read })

  return {
    finished(request) {
      count(request)
      observe(request)
    },
    fromDevice(size) {
      bytes.from_device += size
      bytesPassed(size)
    },
    toDevice(size) {
      bytes.to_device += size
      bytesPassed(size)
    },
  }
}

function isAlike(one: Finished, other: Finished): boolean {
  return (
    one.status === other.status &&
    one.method === other.method &&
    one.outcome === other.outcome &&
    one.hop === other.hop
  )
}

/** What prom-client keeps of a metric besides its values. */
interface Described {
  readonly name: string
  readonly help: string
  readonly type: unknown
  readonly aggregator: unknown
}

function codeLabel(status: number, outcome: Outcome): string {
  if (status === 0) return 'none'
  const exact = outcome === 'ok' ? STATUS_LABELS.get(status) : undefined
  return exact ?? `${Math.floor(status / 100)}xx`
}

function histogramValues(name: string, outcome: Outcome, known: Durations) {
  let total = 0
  const buckets = known.buckets.map((count, at) => {
    total += count
    const exemplar = known.exemplars[at]
    return {
      metricName: `${name}_bucket`,
      labels: { le: DURATION_BUCKETS[at] ?? '+Inf', outcome },
      value: total,
      ...(exemplar === undefined
        ? {}
        : {
            exemplar: {
              labelSet: { trace_id: exemplar.traceId },
              value: exemplar.value,
              timestamp: exemplar.at.toFixed(3),
            },
          }),
    }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels: { outcome }, value: known.sum },
    { metricName: `${name}_count`, labels: { outcome }, value: total },
  ]
}

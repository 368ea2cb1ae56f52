/** What is measured: the figures that every part of the benchmark shares. */

export const BODY_BYTES = 1_024
export const CONNECTIONS = [1, 64, 256] as const

/** Where and how to ask. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface LoadPlan extends Target {
  readonly connections: number
  readonly warmupMs: number
  readonly measureMs: number
  readonly bodyBytes: number
}

export interface LoadFigures {
  /** Answered with 200 and the whole body. */
  readonly requests: number
  /** By reason. */
  readonly failures: Readonly<Record<string, number>>
  readonly seconds: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Something that carries requests to the upstream. */
export interface Subject {
  readonly name: string
  /** For the table: how it is set up. */
  readonly note: string
  readonly target: Target
  /** The process in the middle, whose CPU is counted; null: there is none. */
  readonly serverPid: number | null
  stop(): Promise<void>
}

export interface Measurement {
  readonly subject: string
  readonly connections: number
  readonly requestsPerSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** CPU time of the process in the middle. */
  readonly cpuPerRequestUs: number | null
  /** Share of one core that the load generator took: near 1 it is the bottleneck. */
  readonly generatorCpu: number
  readonly failures: number
}

export interface IdleMemory {
  readonly tunnels: number
  readonly beforeBytes: number
  readonly afterBytes: number
}

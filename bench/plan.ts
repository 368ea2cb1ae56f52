/** What is measured, and in which words: what every part of the benchmark shares. */

export const BODY_BYTES = 1_024

/** Where and how to ask. */
export interface Target {
  readonly host: string
  readonly port: number
  /** Stands before the upstream's own paths. */
  readonly prefix: string
  readonly headers: Readonly<Record<string, string>>
}

/** Something that carries requests to the upstream. */
export interface Subject {
  readonly name: string
  /** For the page: how it is set up. */
  readonly note: string
  readonly target: Target
  /** The processes in the middle, whose CPU and memory are counted. */
  readonly serverPids: readonly number[]
}

/** Subjects that run, and their end. */
export interface Running {
  readonly subjects: readonly Subject[]
  stop(): Promise<void>
}

export interface Context {
  readonly rounds: number
  readonly measureMs: number
  /** One short look, to see that everything works. */
  readonly isQuick: boolean
  /** Where programs of peers are looked for. */
  readonly path: string
  readonly log: (line: string) => void
}

/** Figures that a goal is held against. */
export type FigureName =
  | 'smallCpuUs'
  | 'smallCpuUsV1'
  | 'hopRatio'
  | 'downloadCpuSecPerGb'
  | 'uploadCpuSecPerGb'
  | 'bulkGrowthMb'
  | 'idleKb'
  | 'slowReaderMb'
  | 'slowReaderP99Ms'
  | 'registrationsPerSec'
  | 'backP99Sec'
  | 'sseFirstByteMs'
  | 'cancelMs'
  | 'restartFailed'
  | 'restartGapMs'
export type Figures = Partial<Record<FigureName, number>>

export type Cell = string | number | null

/** What a scenario found: a table for people, figures for the goals. */
export interface Section {
  readonly title: string
  /** What was done, in a few sentences. */
  readonly about: string
  readonly headings: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
  /** How the subjects were set up, and what was skipped. */
  readonly notes: readonly string[]
  readonly figures: Figures
}

/** A section as it is kept from run to run. */
export interface Measured extends Section {
  /** Date and time, UTC. */
  readonly at: string
  readonly commit: string
  /** Load averages of one minute, before and after: of a machine that does nothing else the first is near 0. */
  readonly load: readonly [number, number]
  readonly rounds: number
  readonly measureMs: number
}

export interface Scenario {
  /** As in `--only`. */
  readonly name: string
  readonly help: string
  run(context: Context): Promise<Section>
}

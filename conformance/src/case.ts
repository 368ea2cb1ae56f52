/** What a case of the kit is, and how it says what is wrong. */
import { isDeepStrictEqual } from 'node:util'

/** What a transport or device can do beyond requests with whole answers; a case names what it needs. */
export const FEATURES = {
  page: 'a conformance page on the device (see docs/conformance.md)',
  stream: 'bodies of any size in both directions (dialect v2)',
  websocket: 'WebSockets (dialect v2)',
  trailers: 'trailers (dialect v2)',
  backpressure: 'a reader that slows its writer down (dialect v2)',
  cookies: 'cookies of the device: on its own origin, not in path mode',
  v1: 'dialect v1',
  v2: 'dialect v2',
  overlap: 'the feature `overlap`',
  resume: 'the feature `resume`',
  metrics: 'metrics that the device sends by itself',
} as const
export type Feature = keyof typeof FEATURES

export interface Case<Context> {
  /** Short name for `--only`. */
  readonly id: string
  /** A statement about the target. */
  readonly title: string
  /** Where it is written down. */
  readonly spec: string
  readonly needs: readonly Feature[]
  run(context: Context): Promise<void>
}

/** The target did something else than the specification says. */
export class Mismatch extends Error {
  readonly what: string
  readonly expected: string
  readonly came: string

  constructor(what: string, expected: unknown, came: unknown) {
    super(`${what}: expected ${show(expected)}, came ${show(came)}`)
    this.what = what
    this.expected = show(expected)
    this.came = show(came)
  }
}

/** A case found out that the target lacks what it needs; it is skipped with these words. */
export class NotApplicable extends Error {}

/** Throws `Mismatch` unless both are deeply equal. */
export function expect(what: string, came: unknown, expected: unknown): void {
  if (!isDeepStrictEqual(came, expected)) throw new Mismatch(what, expected, came)
}

/** Throws `Mismatch` unless it holds; `expected` says in words what should have been. */
export function expectThat(what: string, holds: boolean, expected: string, came: unknown): void {
  if (!holds) throw new Mismatch(what, expected, came)
}

/** Waits for something that the target does by itself. */
export async function within<T>(what: string, ms: number, wanted: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Mismatch(what, `within ${ms / 1_000} s`, 'nothing')), ms)
  })
  try {
    return await Promise.race([wanted, late])
  } finally {
    clearTimeout(timer)
  }
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
  return text.length > 300 ? `${text.slice(0, 300)}… (${text.length} characters)` : text
}

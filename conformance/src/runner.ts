/** Runs cases one after the other and keeps what came of each. */
import { FEATURES, Mismatch, NotApplicable, type Case, type Feature } from './case.ts'

export interface Result {
  readonly target: string
  readonly id: string
  readonly title: string
  readonly spec: string
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why it was skipped, or what went wrong when it was no comparison. */
  readonly reason: string | null
  readonly expected: string | null
  readonly came: string | null
  readonly ms: number
}

const CASE_TIMEOUT_MS = 60_000

export interface RunOptions {
  readonly target: string
  readonly can: ReadonlySet<Feature>
  /** Ids; empty: all. An id that ends in `*` stands for all that begin so. */
  readonly only: readonly string[]
  onResult?(result: Result): void
}

export async function runCases<Context>(
  cases: readonly Case<Context>[],
  context: Context,
  { target, can, only, onResult }: RunOptions,
): Promise<Result[]> {
  const results: Result[] = []
  for (const one of cases) {
    if (!isChosen(one.id, only)) continue
    const { id, title, spec } = one
    const startedAt = performance.now()
    const verdict = await judge(one, context, can)
    const result = { target, id, title, spec, ...verdict, ms: Math.round(performance.now() - startedAt) }
    results.push(result)
    onResult?.(result)
  }
  return results
}

export function isChosen(id: string, only: readonly string[]): boolean {
  return (
    only.length === 0 ||
    only.some((name) => (name.endsWith('*') ? id.startsWith(name.slice(0, -1)) : id === name))
  )
}

type Verdict = Pick<Result, 'outcome' | 'reason' | 'expected' | 'came'>

const NOTHING = { reason: null, expected: null, came: null }

async function judge<Context>(
  one: Case<Context>,
  context: Context,
  can: ReadonlySet<Feature>,
): Promise<Verdict> {
  const missing = one.needs.filter((feature) => !can.has(feature))
  if (missing.length > 0)
    return {
      ...NOTHING,
      outcome: 'skipped',
      reason: `needs ${missing.map((name) => FEATURES[name]).join(', ')}`,
    }
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Mismatch('the case', 'done in 60 s', 'still running')),
      CASE_TIMEOUT_MS,
    )
  })
  try {
    await Promise.race([one.run(context), late])
    return { ...NOTHING, outcome: 'passed' }
  } catch (error) {
    if (error instanceof NotApplicable) return { ...NOTHING, outcome: 'skipped', reason: error.message }
    if (error instanceof Mismatch)
      return { outcome: 'failed', reason: error.what, expected: error.expected, came: error.came }
    return { ...NOTHING, outcome: 'failed', reason: error instanceof Error ? error.message : String(error) }
  } finally {
    clearTimeout(timer)
  }
}

/** A reporter for `node --test-reporter`: one JSON line for each finished test, for the process that counts. */
import type { TestEvent } from 'node:test/reporters'

export interface Outcome {
  readonly name: string
  readonly line: number
  readonly isSkipped: boolean
  /** Null: passed. */
  readonly failure: string | null
}

/** Suites are left out: they fail only because of what is in them, unless a hook of theirs failed. */
export default async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { data } = event
    const isSuite = data.details.type === 'suite'
    const error = event.type === 'test:fail' ? event.data.details.error : null
    const isEcho = (error as { failureType?: string } | null)?.failureType === 'subtestsFailed'
    if (isEcho || (isSuite && !error)) continue
    const outcome: Outcome = {
      name: data.name,
      line: data.line ?? 0,
      isSkipped: data.skip !== undefined || data.todo !== undefined,
      failure: error ? describe(error) : null,
    }
    yield `${JSON.stringify(outcome)}\n`
  }
}

function describe(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error
  return cause.stack ?? cause.message
}

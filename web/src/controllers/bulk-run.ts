/** One action on many rows: a few at a time, on in spite of failures, patient with limits. Pure. */

export interface BulkOptions<T, R> {
  readonly rows: readonly T[]
  readonly act: (row: T) => Promise<R>
  /** How many run at once. */
  readonly parallel: number
  /** How long the server asks to wait before the same is tried again; null: the error is final. */
  readonly waitMsOf: (error: unknown) => number | null
  readonly sleep: (ms: number) => Promise<void>
  readonly onProgress: (finished: number) => void
  /** Asked before each row; what runs already is let end. */
  readonly isStopped: () => boolean
}

export interface BulkResult<T, R> {
  readonly done: readonly R[]
  readonly failed: readonly { readonly row: T; readonly error: unknown }[]
  /** Never begun, because it was stopped. */
  readonly left: readonly T[]
}

/** Tries of one row that meets a limit each time. */
const MAX_TRIES = 20

/** Never rejects; `failed` says which did not work and why. */
export async function runBulk<T, R>(options: BulkOptions<T, R>): Promise<BulkResult<T, R>> {
  const waiting = [...options.rows]
  const done: R[] = []
  const failed: { row: T; error: unknown }[] = []

  async function patiently(row: T): Promise<R> {
    for (let tries = 1; ; tries++) {
      try {
        // oxlint-disable-next-line eslint/no-await-in-loop -- one try after the other
        return await options.act(row)
      } catch (error) {
        const waitMs = options.waitMsOf(error)
        if (waitMs === null || tries === MAX_TRIES || options.isStopped()) throw error
        // oxlint-disable-next-line eslint/no-await-in-loop
        await options.sleep(waitMs)
      }
    }
  }

  async function work(): Promise<void> {
    while (waiting.length > 0 && !options.isStopped()) {
      const row = waiting.shift()!
      try {
        // oxlint-disable-next-line eslint/no-await-in-loop -- each worker takes one at a time
        done.push(await patiently(row))
      } catch (error) {
        failed.push({ row, error })
      }
      options.onProgress(done.length + failed.length)
    }
  }

  await Promise.all(Array.from({ length: options.parallel }, work))
  return { done, failed, left: waiting }
}

/** Many questions, one call: what is asked in the same moment, or while calls are under way, goes out together. */

export interface BatcherOptions<Question, Answer> {
  readonly maxBatch: number
  /** Calls under way at once. */
  readonly maxCalls: number
  /** Questions that may wait; beyond, `ask` rejects with `onFull()`. */
  readonly maxWaiting: number
  /** One answer per question, in order. */
  run(questions: Question[]): Promise<readonly Answer[]>
  onFull(): Error
}

interface Waiting<Question, Answer> {
  readonly question: Question
  resolve(answer: Answer): void
  reject(error: unknown): void
}

export function createBatcher<Question, Answer>(options: BatcherOptions<Question, Answer>) {
  const waiting: Waiting<Question, Answer>[] = []
  let calls = 0
  let isScheduled = false

  function schedule(): void {
    if (isScheduled || waiting.length === 0 || calls >= options.maxCalls) return
    isScheduled = true
    setImmediate(() => {
      isScheduled = false
      const batch = waiting.splice(0, options.maxBatch)
      calls += 1
      void run(batch).finally(() => {
        calls -= 1
        schedule()
      })
      schedule()
    })
  }

  async function run(batch: Waiting<Question, Answer>[]): Promise<void> {
    try {
      const answers = await options.run(batch.map((entry) => entry.question))
      batch.forEach((entry, index) => entry.resolve(answers[index]!))
    } catch (error) {
      for (const entry of batch) entry.reject(error)
    }
  }

  return {
    ask(question: Question): Promise<Answer> {
      if (waiting.length >= options.maxWaiting) return Promise.reject(options.onFull())
      return new Promise((resolve, reject) => {
        waiting.push({ question, resolve, reject })
        schedule()
      })
    },
  }
}

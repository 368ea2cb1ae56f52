/** Reads who holds which controller from the shared store: questions of one moment travel together. */
import type { Presence, Store } from '@wmoc/platform/store'

const BATCH = 500

interface Question {
  readonly controllerId: string
  resolve(presence: Presence | null): void
  reject(error: unknown): void
}

/** @returns Reads one; rejects when the store is away. */
export function createPresences(
  store: Pick<Store, 'getPresence'>,
): (controllerId: string) => Promise<Presence | null> {
  let gathered: Question[] = []

  async function ask(questions: readonly Question[]): Promise<void> {
    try {
      const found = await store.getPresence(questions.map(({ controllerId }) => controllerId))
      questions.forEach((question, index) => question.resolve(found[index] ?? null))
    } catch (error) {
      for (const question of questions) question.reject(error)
    }
  }

  function askAll(): void {
    const questions = gathered
    gathered = []
    for (let start = 0; start < questions.length; start += BATCH)
      void ask(questions.slice(start, start + BATCH))
  }

  return (controllerId) =>
    new Promise((resolve, reject) => {
      gathered.push({ controllerId, resolve, reject })
      if (gathered.length === 1) setImmediate(askAll)
    })
}

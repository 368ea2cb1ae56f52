/**
 * Asks again, elsewhere, what is not answered soon. A replica that got lost is still routed to until the cluster notices;
 * another connection mostly leads to another replica. Earlier tries go on meanwhile: whichever answers first counts.
 *
 * Repeats live on a budget: one costs 1, an answer that needed a repeat brings 1 back, one that needed none brings 0.1.
 * An API that is slow or away for everybody is not asked more and more: what does not help is soon not paid any more.
 */

export interface Repeats {
  /**
   * @param ask One try; `attempt` counts from 0. To be given up when the signal fires.
   * @param mayRepeat Whether to ask again after this error, or (null) beside a try that is silent so far.
   * @returns The first answer; rejects with the last error when no try is left, or when `totalMs` are over.
   */
  ask<Answer>(
    ask: (attempt: number, signal: AbortSignal) => Promise<Answer>,
    mayRepeat: (error: unknown) => boolean,
  ): Promise<Answer>
}

export interface RepeatRules {
  /** How long a try may be silent before another begins beside it; ± 20 %. */
  readonly silentMs: number
  /** Of all tries together. */
  readonly totalMs: number
  readonly maxAttempts: number
  /** Repeats that may be made at once without any that helped. */
  readonly budget: number
}

/** After an error that came at once, tries begin up to so long later. */
const PAUSE_MS = 50
const EARNED_BY_FIRST = 0.1

/** @param random From 0 to 1, for jitter. */
export function createRepeats(rules: RepeatRules, random: () => number = Math.random): Repeats {
  let budget = rules.budget
  const earn = (amount: number) => {
    budget = Math.min(rules.budget, budget + amount)
  }

  return {
    ask(ask, mayRepeat) {
      return new Promise((resolve, reject) => {
        const end = new AbortController()
        let started = 0
        /** Tries that may still answer, and one that is about to begin. */
        let open = 1
        let timer: NodeJS.Timeout | undefined
        const total = setTimeout(() => {
          finish(() => reject(new Error(`no answer within ${rules.totalMs} ms`)))
        }, rules.totalMs)

        function finish(settle: () => void): void {
          clearTimeout(total)
          clearTimeout(timer)
          settle()
          end.abort()
        }

        function start(): void {
          const attempt = started++
          timer = setTimeout(() => void again(null, 0), rules.silentMs * (0.8 + 0.4 * random()))
          ask(attempt, end.signal).then(
            (answer) => {
              if (end.signal.aborted) return
              if (attempt === started - 1) earn(attempt === 0 ? EARNED_BY_FIRST : 1)
              finish(() => resolve(answer))
            },
            (error: unknown) => {
              if (end.signal.aborted) return
              open -= 1
              // Of earlier tries that fail while a later one is under way, nothing new is learnt.
              const isNews = attempt === started - 1
              const goesOn = isNews && again(error, PAUSE_MS * started)
              if (!goesOn && open === 0) finish(() => reject(error))
            },
          )
        }

        /** Begins another try, in a moment, where one may be made. */
        function again(error: unknown, pauseMs: number): boolean {
          if (started >= rules.maxAttempts || budget < 1 || !mayRepeat(error)) return false
          budget -= 1
          open += 1
          clearTimeout(timer)
          timer = setTimeout(start, pauseMs * random())
          return true
        }

        start()
      })
    },
  }
}

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createRepeats } from './repeats.ts'

const RULES = { silentMs: 100, totalMs: 1_000, maxAttempts: 4, budget: 3 }
const always = () => true
const never = () => false
const silent = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(new Error('given up'))),
  )

suite('repeats', () => {
  test('a try that is silent goes on beside the next, and whichever answers first counts', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    const repeats = createRepeats(RULES, () => 0.5)
    const answers: ((answer: string) => void)[] = []
    const signals: AbortSignal[] = []
    const asked = repeats.ask((_attempt, signal) => {
      signals.push(signal)
      return new Promise<string>((resolve) => answers.push(resolve))
    }, always)
    context.mock.timers.tick(99)
    assert.equal(answers.length, 1)
    context.mock.timers.tick(1)
    context.mock.timers.tick(0)
    assert.equal(answers.length, 2)
    answers[0]!('the first after all')
    assert.equal(await asked, 'the first after all')
    assert.ok(signals.every(({ aborted }) => aborted))
  })

  test('after an error another try begins, and the last error is told', async () => {
    const tried: number[] = []
    const repeats = createRepeats({ ...RULES, budget: 10 })
    const asked = repeats.ask((attempt) => {
      tried.push(attempt)
      return Promise.reject(new Error(`no ${attempt}`))
    }, always)
    await assert.rejects(asked, /no 3/)
    assert.deepEqual(tried, [0, 1, 2, 3])
  })

  test('what may not be repeated is asked once, however long it is silent', async () => {
    const repeats = createRepeats({ ...RULES, silentMs: 1, totalMs: 50 })
    let tries = 0
    const asked = repeats.ask((_attempt, signal) => {
      tries += 1
      return silent(signal)
    }, never)
    await assert.rejects(asked, /no answer within 50 ms/)
    assert.equal(tries, 1)
  })

  test('no storm: of an API that is away for everybody no more is asked than the budget has', async () => {
    const repeats = createRepeats(RULES)
    let tries = 0
    const asks = Array.from({ length: 100 }, () =>
      assert.rejects(
        repeats.ask(() => {
          tries += 1
          return Promise.reject(new Error('away'))
        }, always),
      ),
    )
    await Promise.all(asks)
    assert.equal(tries, 100 + RULES.budget)
  })

  test('nor of one that is slow: a repeat that the first try overtakes is not paid back', async () => {
    const repeats = createRepeats({ ...RULES, silentMs: 1 })
    let repeated = 0
    for (let count = 0; count < 10; count++) {
      let answerFirst: (answer: string) => void = () => undefined
      await repeats.ask((attempt, signal) => {
        if (attempt === 0) {
          // Slow: only once the repeat is on its way, or would have been.
          setTimeout(() => answerFirst('slow'), 30)
          return new Promise<string>((resolve) => (answerFirst = resolve))
        }
        repeated += 1
        return silent(signal)
      }, always)
    }
    assert.equal(repeated, RULES.budget)
  })

  test('repeats that help go on for ever, and answers that need none bring the budget back', async () => {
    const repeats = createRepeats(RULES)
    const lame = () =>
      repeats.ask(
        (attempt) => (attempt === 0 ? Promise.reject(new Error('lost')) : Promise.resolve('found')),
        always,
      )
    for (let count = 0; count < 20; count++) assert.equal(await lame(), 'found')
    const away = () => repeats.ask(() => Promise.reject(new Error('away')), always)
    await assert.rejects(away())
    await assert.rejects(lame())
    for (let count = 0; count < 11; count++) await repeats.ask(() => Promise.resolve('fine'), always)
    assert.equal(await lame(), 'found')
  })
})

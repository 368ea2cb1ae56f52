import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { runBulk, type BulkOptions } from './bulk-run.ts'

const ROWS = Array.from({ length: 10 }, (_, index) => index)

function run(options: Partial<BulkOptions<number, number>>) {
  return runBulk({
    rows: ROWS,
    act: async (row) => row,
    parallel: 4,
    waitMsOf: () => null,
    sleep: async () => {},
    onProgress: () => {},
    isStopped: () => false,
    ...options,
  })
}

suite('one action on many rows', () => {
  test('runs so many at once and no more, and tells each step', async () => {
    let running = 0
    let most = 0
    const steps: number[] = []
    const { done } = await run({
      onProgress: (finished) => steps.push(finished),
      async act(row) {
        most = Math.max(most, ++running)
        await new Promise(setImmediate)
        running--
        return row
      },
    })
    assert.equal(most, 4)
    assert.deepEqual(done, ROWS)
    assert.deepEqual(
      steps,
      ROWS.map((row) => row + 1),
    )
  })

  test('goes on after a failure, and says which failed and why', async () => {
    const error = new Error('no')
    const { done, failed, left } = await run({
      act: (row) => (row === 3 ? Promise.reject(error) : Promise.resolve(row)),
    })
    assert.equal(done.length, 9)
    assert.deepEqual(failed, [{ row: 3, error }])
    assert.deepEqual(left, [])
  })

  test('waits as long as a limit asks, and not for ever', async () => {
    const waits: number[] = []
    let refusals = 2
    const limited = {
      rows: [1],
      waitMsOf: () => 500,
      sleep: async (ms: number) => {
        waits.push(ms)
      },
    }
    const patient = await run({
      ...limited,
      act: (row) => (refusals-- > 0 ? Promise.reject(new Error('slow down')) : Promise.resolve(row)),
    })
    assert.deepEqual(patient.done, [1])
    assert.deepEqual(waits, [500, 500])
    const given = await run({ ...limited, act: () => Promise.reject(new Error('slow down')) })
    assert.equal(given.failed.length, 1)
  })

  test('stopped, it lets what runs end and begins nothing more', async () => {
    let begun = 0
    const { done, left } = await run({
      isStopped: () => begun >= 4,
      async act(row) {
        begun++
        await new Promise(setImmediate)
        return row
      },
    })
    assert.equal(done.length, 4)
    assert.deepEqual(left, [4, 5, 6, 7, 8, 9])
  })
})

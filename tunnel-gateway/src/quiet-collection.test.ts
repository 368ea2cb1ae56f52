import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createQuietCollection } from './quiet-collection.ts'

const MIB = 1_048_576

function quietly() {
  const now = { busy: 0, heap: 100 * MIB, collections: 0 }
  const collection = createQuietCollection({
    busy: () => now.busy,
    heapBytes: () => now.heap,
    collect: () => {
      now.collections += 1
      now.heap = 90 * MIB
    },
  })
  const sample = (times: number) => {
    for (let index = 0; index < times; index++) collection.sample()
  }
  return { now, sample }
}

suite('a collection in a quiet moment', () => {
  test('comes after a burst, once', () => {
    const { now, sample } = quietly()
    now.heap = 200 * MIB
    now.busy = 0.9
    sample(20)
    assert.equal(now.collections, 0)
    now.busy = 0.1
    sample(3)
    assert.equal(now.collections, 0)
    sample(20)
    assert.equal(now.collections, 1)
  })

  test('comes once after the start', () => {
    const { now, sample } = quietly()
    now.heap = 40 * MIB
    sample(3)
    assert.equal(now.collections, 0)
    sample(1)
    assert.equal(now.collections, 1)
  })

  test('comes again only when the heap has grown again', () => {
    const { now, sample } = quietly()
    now.heap = 200 * MIB
    sample(20)
    now.heap = 97 * MIB
    sample(20)
    assert.equal(now.collections, 1)
    now.heap = 99 * MIB
    sample(1)
    assert.equal(now.collections, 2)
  })

  test('does not come while every other second is busy', () => {
    const { now, sample } = quietly()
    now.heap = 200 * MIB
    for (let second = 0; second < 30; second++) {
      now.busy = second % 2
      sample(1)
    }
    assert.equal(now.collections, 0)
  })
})

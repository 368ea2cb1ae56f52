import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createOutbox } from './outbox.ts'

const metrics = (value: number) => ({ type: 'metrics' as const, items: [{ type: 't', value }] })
const seqs = (batches: { seq: number }[]) => batches.map(({ seq }) => seq)

suite('the outbox', () => {
  test('numbers from 1 and sends each batch once', () => {
    const outbox = createOutbox()
    outbox.add(metrics(1))
    outbox.add(metrics(2))
    assert.deepEqual(seqs(outbox.due(0)), [1, 2])
    assert.deepEqual(outbox.due(1_000), [])
  })

  test('sends what is not acknowledged again after a reconnect, in order', () => {
    const outbox = createOutbox()
    for (const value of [1, 2, 3]) outbox.add(metrics(value))
    outbox.due(0)
    outbox.acknowledge(2)
    outbox.reconnected()
    assert.deepEqual(seqs(outbox.due(1)), [1, 3])
  })

  test('sends what nobody acknowledged for long again in the same connection', () => {
    const outbox = createOutbox({ resendAfterMs: 100 })
    outbox.add(metrics(1))
    outbox.due(0)
    assert.deepEqual(seqs(outbox.due(99)), [])
    assert.deepEqual(seqs(outbox.due(100)), [1])
  })

  test('drops the oldest when too much waits, and counts it', () => {
    const outbox = createOutbox({ maxBatches: 2 })
    for (const value of [1, 2, 3]) outbox.add(metrics(value))
    assert.deepEqual(seqs(outbox.due(0)), [2, 3])
    assert.equal(outbox.dropped, 1)
    outbox.acknowledge(1)
    assert.equal(outbox.waiting, 2)
  })
})

import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { BodyTooLargeError, RequestBody } from './request-body.ts'

suite('the body of a request', () => {
  test('gives credit back for every byte once, however much of it is read', async () => {
    const step = fc.oneof(
      fc.record({ push: fc.integer({ min: 1, max: 100 }) }),
      fc.constant('read' as const),
      fc.constant('discard' as const),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        let pushed = 0
        let consumed = 0
        let waiting = 0
        const body = new RequestBody((bytes) => (consumed += bytes))
        const reader = body[Symbol.asyncIterator]()
        for (const one of steps) {
          if (one === 'discard') {
            body.discard()
            waiting = 0
            assert.equal(consumed, pushed)
          } else if (one === 'read') {
            if (waiting === 0) continue
            waiting -= 1
            await reader.next()
          } else {
            body.push(Buffer.alloc(one.push))
            pushed += one.push
            waiting = consumed === pushed ? 0 : waiting + 1
          }
          assert.ok(consumed <= pushed)
        }
        body.discard()
        assert.equal(consumed, pushed)
      }),
    )
  })

  test('holds what the reader works on until it comes back', async () => {
    let consumed = 0
    const body = new RequestBody((bytes) => (consumed += bytes))
    const reader = body[Symbol.asyncIterator]()
    body.push(Buffer.from('abc'))
    assert.equal(String((await reader.next()).value), 'abc')
    assert.equal(consumed, 0)
    const second = reader.next()
    await Promise.resolve()
    body.push(Buffer.from('de'))
    assert.equal(String((await second).value), 'de')
    assert.equal(consumed, 3)
  })

  test('is collected whole, up to a limit, and not when the rest never comes', async () => {
    assert.equal(String(await RequestBody.of(Buffer.from('all')).collect()), 'all')
    assert.equal((await RequestBody.empty.collect()).length, 0)
    await assert.rejects(RequestBody.of(Buffer.alloc(10)).collect(9), BodyTooLargeError)
    const cut = new RequestBody(() => undefined)
    cut.push(Buffer.from('half'))
    cut.fail(new Error('gone'))
    await assert.rejects(cut.collect(), /gone/)
  })
})

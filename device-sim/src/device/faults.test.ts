import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createFaults } from './faults.ts'
import type { ResponseSink } from './exchange.ts'

const refuse = () => Promise.reject(new Error('answered'))
const sink: ResponseSink = { whole: refuse, begin: refuse, write: refuse, end: refuse, fail: refuse }

function request(signal: AbortSignal) {
  return { method: 'GET', path: '/', headers: {}, body: Buffer.alloc(0), signal }
}

suite('faults', () => {
  test('none leave the handler as it is', () => {
    const handler = async () => undefined
    assert.equal(createFaults([], () => 0).wrap(handler), handler)
  })

  test('silent never answers and ends with the request', async () => {
    const leaving = new AbortController()
    const answer = createFaults(['silent'], () => 0).wrap(() => sink.end())(request(leaving.signal), sink)
    leaving.abort()
    await answer
  })

  test('slow answers after two seconds and stops waiting when the user goes', async (context) => {
    context.mock.timers.enable({ apis: ['setTimeout'] })
    let answers = 0
    const slow = createFaults(['slow'], () => 0).wrap(async () => void (answers += 1))
    const answer = slow(request(new AbortController().signal), sink)
    context.mock.timers.tick(1_999)
    assert.equal(answers, 0)
    context.mock.timers.tick(1)
    await answer
    assert.equal(answers, 1)
  })

  test('wrong frames are sent by chance', () => {
    const sent: string[] = []
    const chances = [0.2, 0.6, 0.9]
    const faults = createFaults(['wrong-frames'], () => chances.shift() ?? 0)
    faults.spoil((text) => sent.push(text))
    faults.spoil((text) => sent.push(text))
    assert.equal(sent.length, 1)
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isKubeError } from './errors.ts'
import { watchLines } from './watch-lines.ts'

const object = (name: string) => ({ metadata: { name, uid: 'u', resourceVersion: '1' } })

async function read(bytes: Buffer, cuts: readonly number[]): Promise<unknown[]> {
  async function* pieces() {
    let from = 0
    for (const cut of [...new Set(cuts)].toSorted((a, b) => a - b)) {
      yield bytes.subarray(from, Math.min(cut, bytes.length))
      from = Math.min(cut, bytes.length)
    }
    yield bytes.subarray(from)
  }
  const events: unknown[] = []
  for await (const event of watchLines(pieces())) events.push(event)
  return events
}

test('wherever the bytes are cut, the events are the same', async () => {
  const lines = ['ä', '日本', 'plain'].map((name) => ({ type: 'ADDED', object: object(name) }))
  const bytes = Buffer.from(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n{"type":"ADD`)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
      assert.deepEqual(await read(bytes, cuts), lines)
    }),
  )
})

test('a version that is too old is an error of its own', async () => {
  const line = { type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Gone', message: 'too old' } }
  await assert.rejects(read(Buffer.from(`${JSON.stringify(line)}\n`), []), (error) =>
    isKubeError(error, 'Expired'),
  )
})

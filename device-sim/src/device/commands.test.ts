import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { createCommandRunner } from './commands.ts'
import { createFileStore, createMemoryStore, type DeviceStore } from './store.ts'

const folder = mkdtempSync(join(tmpdir(), 'wmoc sim '))
after(() => rmSync(folder, { recursive: true }))
let files = 0
function newPath(): string {
  files += 1
  return join(folder, `state ${files}.json`)
}

const command = (id: string, name = 'count', expiresAt = 1_000) => ({
  type: 'command' as const,
  id,
  name,
  params: {},
  expiresAt,
})

function runner(store: DeviceStore, nowMs = 0) {
  const seen: string[] = []
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const run = createCommandRunner({
    store,
    nowMs: () => nowMs,
    handlers: {
      count: () => {
        seen.push('count')
        return { ok: true, result: seen.length }
      },
      wait: async () => {
        seen.push('wait')
        await gate
        return { ok: true }
      },
      throw: () => {
        throw new Error('broken')
      },
    },
  })
  return { run: run.run, seen, open }
}

suite('commands', () => {
  test('are answered again and not done again when they are repeated', async () => {
    const { run, seen } = runner(createMemoryStore())
    const first = await run(command('a'))
    const second = await run(command('a'))
    assert.deepEqual(second, { result: first.result, isRepeated: true })
    assert.deepEqual(first.result, { type: 'command_result', id: 'a', ok: true, result: 1 })
    assert.equal(seen.length, 1)
  })

  test('are done once when the repeat comes while they run', async () => {
    const { run, seen, open } = runner(createMemoryStore())
    const first = run(command('a', 'wait'))
    assert.equal((await run(command('a', 'wait'))).result, null)
    open()
    assert.equal((await first).result?.ok, true)
    assert.deepEqual(seen, ['wait'])
  })

  test('are remembered by the next process', async () => {
    const path = newPath()
    const first = await runner(createFileStore(path, () => 0)).run(command('a'))
    const restarted = runner(createFileStore(path, () => 0))
    assert.deepEqual((await restarted.run(command('a'))).result, first.result)
    assert.deepEqual(restarted.seen, [])
  })

  test('that the power cut ended are answered as interrupted and not begun again', async () => {
    const path = newPath()
    void runner(createFileStore(path, () => 0)).run(command('a', 'wait'))
    const restarted = runner(createFileStore(path, () => 0))
    const { result } = await restarted.run(command('a', 'wait'))
    assert.deepEqual([result?.ok, result?.error, restarted.seen], [false, 'interrupted', []])
  })

  test('are on disk before they are begun and before they are answered', async () => {
    const path = newPath()
    const { run, open } = runner(createFileStore(path, () => 0))
    const answer = run(command('a', 'wait'))
    assert.match(readFileSync(`${path}.commands`, 'utf8'), /^\{"id":"a","expiresAt":1000\}\n$/)
    open()
    await answer
    assert.match(readFileSync(`${path}.commands`, 'utf8'), /"answer":\{"ok":true\}\}\n$/)
  })

  test('survive a journal whose last line a power cut ended', async () => {
    const path = newPath()
    await runner(createFileStore(path, () => 0)).run(command('a'))
    appendFileSync(`${path}.commands`, '{"id":"b","expi')
    const restarted = runner(createFileStore(path, () => 0))
    await restarted.run(command('a'))
    assert.deepEqual(restarted.seen, [])
    await restarted.run(command('b'))
    assert.deepEqual(restarted.seen, ['count'])
  })

  test('that ran out are not done, and forgotten when the journal is loaded', async () => {
    const path = newPath()
    await runner(createFileStore(path, () => 0)).run(command('a'))
    const late = runner(
      createFileStore(path, () => 1_000),
      1_000,
    )
    assert.equal(readFileSync(`${path}.commands`, 'utf8'), '')
    assert.equal((await late.run(command('b'))).result?.error, 'expired')
    assert.deepEqual(late.seen, [])
  })

  test('that nobody knows or that fail are answered so', async () => {
    const { run } = runner(createMemoryStore())
    assert.match(
      (await run(command('a', 'constructor'))).result?.error ?? '',
      /^unknown command; known are .*throw/,
    )
    assert.equal((await run(command('b', 'throw'))).result?.error, 'broken')
  })

  test('are not begun when the journal cannot be written', async () => {
    const store = createMemoryStore()
    const { run, seen } = runner({
      ...store,
      appendJournal: () => {
        throw new Error('disk full')
      },
    })
    await assert.rejects(run(command('a')), /disk full/)
    assert.deepEqual(seen, [])
  })
})

suite('the state file', () => {
  test('can be read by nobody else and comes back as it was', () => {
    const path = newPath()
    const store = createFileStore(path)
    const state = {
      mac: '02:00:00:00:00:01',
      current: { controller_id: '0198f6a0-7b1c-7d3e-9a44-2f5d8c1b6e70', secret: 'x'.repeat(32) },
      next: null,
    }
    assert.equal(store.load(), null)
    store.save(state)
    assert.equal(statSync(path).mode & 0o777, 0o600)
    const { current, next, mac } = createFileStore(path).load() ?? {}
    assert.deepEqual({ current, next, mac }, state)
  })

  test('that is none is an error, not a new device', () => {
    const path = newPath()
    writeFileSync(path, '{"version":7}')
    assert.throws(() => createFileStore(path).load())
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLifecycle } from './lifecycle.ts'
import { createLogger } from './log.ts'

const log = createLogger({ process: 'test', level: 'silent' })

function recorded() {
  const steps: string[] = []
  const lifecycle = createLifecycle(log)
  const part = (name: string, options: { failStart?: boolean; failStop?: boolean; hang?: boolean } = {}) =>
    lifecycle.add(name, {
      start: () => {
        if (options.failStart === true) throw new Error(name)
        steps.push(`start ${name}`)
      },
      stop: async () => {
        steps.push(`stop ${name}`)
        if (options.failStop === true) throw new Error(name)
        if (options.hang === true) await new Promise(() => undefined)
      },
      stopTimeoutMs: 20,
    })
  return { steps, lifecycle, part }
}

test('starts in order and stops in reverse, once', async () => {
  const { steps, lifecycle, part } = recorded()
  for (const name of ['a', 'b', 'c']) part(name)
  await lifecycle.start()
  await Promise.all([lifecycle.stop(), lifecycle.stop()])
  assert.deepEqual(steps, ['start a', 'start b', 'start c', 'stop c', 'stop b', 'stop a'])
})

test('stops what was started when a part cannot start, and throws its error', async () => {
  const { steps, lifecycle, part } = recorded()
  part('a')
  part('b', { failStart: true })
  part('c')
  await assert.rejects(lifecycle.start(), /b/)
  assert.deepEqual(steps, ['start a', 'stop a'])
})

test('a stop during the start waits for the part that starts, starts no other, and leaves nothing', async () => {
  const { steps, lifecycle, part } = recorded()
  part('a')
  const opened = Promise.withResolvers<void>()
  lifecycle.add('slow', {
    start: async () => {
      await opened.promise
      steps.push('start slow')
    },
    stop: () => void steps.push('stop slow'),
  })
  part('c')
  const starting = assert.rejects(lifecycle.start(), /stopped before c was started/)
  await new Promise((resolve) => setImmediate(resolve))
  const stopping = lifecycle.stop()
  opened.resolve()
  await Promise.all([starting, stopping])
  assert.deepEqual(steps, ['start a', 'start slow', 'stop slow', 'stop a'])
})

test('goes on stopping when a part fails or hangs', async () => {
  const { steps, lifecycle, part } = recorded()
  part('a')
  part('b', { failStop: true })
  part('c', { hang: true })
  await lifecycle.start()
  await lifecycle.stop()
  assert.deepEqual(steps.slice(3), ['stop c', 'stop b', 'stop a'])
})

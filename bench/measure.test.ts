import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startChild } from './children.ts'
import { measure } from './measure.ts'
import { startDirect } from './subjects/direct.ts'

const SHORT = { warmupMs: 100, measureMs: 300 }

test('measures the upstream itself, and counts what fails', { timeout: 60_000 }, async () => {
  const upstream = startChild(fileURLToPath(new URL('./processes/upstream.ts', import.meta.url)), [])
  const direct = await startDirect(`http://127.0.0.1:${await upstream.waitFor(/^\d+$/)}`)
  const good = await measure(direct, 4, SHORT)
  assert.ok(good.requestsPerSecond > 0)
  assert.ok(good.p50Ms > 0 && good.p50Ms <= good.p99Ms)
  assert.equal(good.failures, 0)
  assert.equal(good.cpuPerRequestUs, null)
  const counted = await measure({ ...direct, serverPid: upstream.pid }, 4, {
    warmupMs: 100,
    measureMs: 1_000,
  })
  assert.ok(counted.cpuPerRequestUs! > 0)
  await upstream.stop()
  const gone = await measure(direct, 4, SHORT)
  assert.ok(gone.failures > 0)
  assert.equal(gone.requestsPerSecond, 0)
})

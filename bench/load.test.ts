import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startChild } from './children.ts'
import { measure } from './load.ts'
import type { Subject } from './plan.ts'
import type { TransferFigures, TransferPlan } from './transfer.ts'

const SHORT = { warmupMs: 100, measureMs: 400 }
const script = (name: string) => fileURLToPath(new URL(`./processes/${name}`, import.meta.url))

async function startUpstream() {
  const child = startChild(script('upstream.ts'), [])
  const port = Number(await child.waitFor(/^\d+$/))
  const subject: Subject = {
    name: 'no tunnel',
    note: '',
    target: { host: '127.0.0.1', port, prefix: '', headers: { Host: 'bench.test' } },
    serverPids: [child.pid],
  }
  return { child, subject }
}

test('measures the upstream itself, and counts what fails', { timeout: 60_000 }, async () => {
  const { child, subject } = await startUpstream()
  const good = await measure(subject, { ...SHORT, connections: 4 })
  assert.ok(good.requestsPerSecond > 0)
  assert.ok(good.p50Ms > 0 && good.p50Ms <= good.p99Ms && good.p99Ms <= good.maxMs)
  assert.equal(good.failures, 0)
  assert.ok(good.cpuPerRequestUs! > 0)
  const anew = await measure(subject, { ...SHORT, connections: 4, isNewConnection: true })
  assert.ok(anew.requestsPerSecond > 0)
  assert.equal(anew.failures, 0)
  await child.stop()
  const gone = await measure({ ...subject, serverPids: [] }, { ...SHORT, connections: 4 })
  assert.ok(gone.failures > 0)
  assert.equal(gone.requestsPerSecond, 0)
  assert.equal(gone.cpuPerRequestUs, null)
})

test('moves whole pieces both ways, and counts those that are not whole', { timeout: 60_000 }, async () => {
  const { child, subject } = await startUpstream()
  const move = async (direction: TransferPlan['direction'], prefix = '') => {
    const target = { ...subject.target, prefix }
    const plan: TransferPlan = { target, direction, pieceBytes: 300_000, pieces: 4, parallel: 2 }
    const line = await startChild(script('transfer.ts'), [JSON.stringify(plan)]).waitFor(/^\{/)
    return (JSON.parse(line) as TransferFigures).failures
  }
  assert.deepEqual(await move('download'), {})
  assert.deepEqual(await move('upload'), {})
  assert.deepEqual(await move('download', '/elsewhere'), { 'wrong length': 4 })
  await child.stop()
})

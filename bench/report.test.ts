import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Measurement } from './plan.ts'
import { idleText, page, summarise, table } from './report.ts'
import { median, percentile } from './stats.ts'

const run = (subject: string, requestsPerSecond: number, failures = 0): Measurement => ({
  subject,
  connections: 64,
  requestsPerSecond,
  p50Ms: 1,
  p99Ms: 2,
  cpuPerRequestUs: subject === 'no tunnel' ? null : 100,
  generatorCpu: 0.4,
  failures,
})
const measurements = [
  run('WMOC', 900),
  run('peer', 500),
  run('WMOC', 1_100),
  run('WMOC', 1_000, 3),
  run('no tunnel', 4_000),
]

test('takes percentiles by nearest rank', () => {
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2)
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4)
  assert.equal(percentile([7], 0), 7)
  assert.ok(Number.isNaN(percentile([], 0.5)))
  assert.equal(median([3, 1, 2]), 2)
})

test('sums rounds up as their medians, and never hides a failure', () => {
  const [own] = summarise(measurements)
  assert.equal(own?.requestsPerSecond, 1_000)
  assert.equal(own?.failures, 3)
})

test('sets every subject beside WMOC in the table', () => {
  const lines = table(measurements).split('\n')
  assert.equal(lines.length, 5)
  assert.equal(new Set(lines.map((line) => line.length)).size, 1)
  assert.match(table(measurements), /\| peer +\| +64 \| +500 \|.*\| +0\.50 × \|/)
  assert.match(table(measurements), /\| no tunnel .*\| +– \|.*\| +4\.00 × \|/)
})

test('says on the page what was not measured', () => {
  const idle = { tunnels: 2_000, beforeBytes: 100 * 2 ** 20, afterBytes: 150 * 2 ** 20 }
  assert.match(idleText(idle), /2,000 idle tunnels.*100 MiB to 150 MiB.*25\.6 KiB a tunnel/)
  const text = page({
    date: '2026-01-02',
    machine: 'a machine',
    loadAverages: [3, 4],
    versions: 'versions',
    command: 'npm run bench -- --write',
    rounds: 3,
    measureMs: 5_000,
    notes: [{ subject: 'WMOC', note: 'a note' }],
    skipped: ['frp'],
    measurements,
    idle: null,
  })
  assert.match(text, /\*\*frp\*\*: not on the PATH, skipped/)
  assert.match(text, /Not measured in this run/)
  assert.match(text, /Other work ran meanwhile/)
})

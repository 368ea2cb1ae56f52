import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GOALS, isReached } from './goals.ts'
import { type Measurement, summarise } from './load.ts'
import type { Section } from './plan.ts'
import { goalsText, page, sectionText, table } from './report.ts'
import { loadRows } from './scenarios/small.ts'
import { median, percentile } from './stats.ts'

const run = (subject: string, requestsPerSecond: number, failures = 0): Measurement => ({
  subject,
  connections: 64,
  requestsPerSecond,
  p50Ms: 1,
  p99Ms: 2,
  maxMs: 3,
  cpuPerRequestUs: subject === 'peer' ? 25 : 50,
  cpuLowestUs: requestsPerSecond / 25,
  generatorCpu: 0.4,
  failures,
  reasons: failures === 0 ? '' : `${failures} × status 503`,
})
const measurements = [run('peer', 500), run('WMOC v2', 900), run('WMOC v2', 1_100), run('WMOC v2', 1_000, 3)]
const subjects = [{ name: 'WMOC v2' }, { name: 'peer' }]
const section: Section = {
  title: 'Small requests',
  about: 'What was done.',
  headings: ['', 'figure'],
  rows: [
    ['WMOC v2', 12],
    ['peer', null],
  ],
  notes: ['**frp**: not on the PATH, skipped.'],
  figures: { smallCpuUs: 61 },
}

test('takes percentiles by nearest rank', () => {
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2)
  assert.equal(percentile([1, 2, 3, 4], 0.99), 4)
  assert.equal(percentile([7], 0), 7)
  assert.ok(Number.isNaN(percentile([], 0.5)))
  assert.equal(median([3, 1, 2]), 2)
})

test('sums rounds up as their medians, in the order of the subjects, and never hides a failure', () => {
  const [own, peer] = summarise(measurements, subjects)
  assert.equal(own?.requestsPerSecond, 1_000)
  assert.equal(own?.failures, 3)
  assert.equal(own?.reasons, '3 × status 503')
  assert.equal(peer?.subject, 'peer')
})

test('sets the CPU of every subject beside ours', () => {
  const rows = loadRows(summarise(measurements, subjects))
  assert.deepEqual(
    rows.map((row) => row[7]),
    ['1.00 ×', '0.50 ×'],
  )
  assert.equal(rows[0]![6], '36', 'the round with the least')
})

test('aligns every line of a table', () => {
  const lines = table(section.headings, section.rows).split('\n')
  assert.equal(lines.length, 4)
  assert.equal(new Set(lines.map((line) => line.length)).size, 1)
  assert.match(sectionText(section), /\| peer +\| +– \|\n\n- \*\*frp\*\*: not on the PATH, skipped\./)
})

test('says of each goal whether it is reached, also when more is better, and what was not measured', () => {
  const text = goalsText({ smallCpuUs: 61, hopRatio: 1.4, registrationsPerSec: 1_200 })
  assert.match(text, /64 connections, v2 +\| +≤ 60 µs \| +61\.0 µs \| +\*\*no\*\* \|/)
  assert.match(text, /hop.*\| +1\.40 × \| +yes \|/)
  assert.match(text, /registrations.*\| +yes \|/)
  assert.match(text, /download.*not measured in this run/)
  const storm = GOALS.find(({ figure }) => figure === 'registrationsPerSec')!
  assert.equal(isReached(storm, 999), false)
})

test('tells of each table on the page when it was measured and how busy the machine was', () => {
  const measured = { ...section, at: '2026-01-02 03:04 UTC', commit: 'abc', rounds: 3, measureMs: 4_000 }
  const textAt = (before: number) =>
    page({ machine: 'a machine', versions: 'versions', sections: [{ ...measured, load: [before, 4] }] })
  assert.match(
    textAt(3),
    /## Small requests\n\nWhat was done\.\n\n\*2026-01-02 03:04 UTC, commit abc, load average 3\.0/,
  )
  assert.match(textAt(3), /Other work ran meanwhile/)
  assert.match(textAt(3), /61\.0 µs/)
  assert.doesNotMatch(textAt(0.1), /Other work ran/)
})

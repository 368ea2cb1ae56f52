/** People on a bad line: what they cost in memory, and whether others notice them. */
import { fileURLToPath } from 'node:url'
import { sleep, startChild } from '../children.ts'
import { measure } from '../load.ts'
import type { Measurement } from '../load.ts'
import type { Cell, Scenario, Subject } from '../plan.ts'
import { peakBytes, resetPeak, residentBytes } from '../proc.ts'
import { notesOf, startStage } from '../stage.ts'

const READERS = fileURLToPath(new URL('../processes/slow-readers.ts', import.meta.url))
const COUNT = 12
const BYTES = 50_000_000
const BYTES_PER_SECOND = 100_000
const MB = 1_000_000
/** 100 requests a second: what else the machine does, not the rate, decides the latencies. */
const OTHERS = { connections: 2, everyMs: 20, warmupMs: 300 }

interface Found {
  readonly subject: string
  readonly alone: Measurement
  readonly beside: Measurement
  readonly mbPerReader: number
  readonly lost: number
}

async function look(subject: Subject, measureMs: number): Promise<Found> {
  const { serverPids, target } = subject
  const alone = await measure(subject, { ...OTHERS, measureMs })
  const before = residentBytes(serverPids)
  resetPeak(serverPids)
  const readers = startChild(READERS, [JSON.stringify(target), COUNT, BYTES, BYTES_PER_SECOND].map(String))
  await readers.waitFor(/^reading$/, 60_000)
  await sleep(2_000)
  const beside = await measure(subject, { ...OTHERS, measureMs })
  const mbPerReader = (peakBytes(serverPids) - before) / COUNT / MB
  const lost = readers.count(/^lost$/)
  await readers.kill()
  await sleep(500)
  return { subject: subject.name, alone, beside, mbPerReader, lost }
}

export const slowReaders: Scenario = {
  name: 'slow-readers',
  help: `${COUNT} people who read 50 MB at 100 KB/s, and small requests of others to the same controller`,
  async run(context) {
    const stage = await startStage(context, { withHop: true, withPeers: true })
    const found: Found[] = []
    for (const subject of stage.subjects) {
      // Buffers and code that stay are not the readers' cost.
      await measure(subject, { connections: 64, warmupMs: 0, measureMs: 1_000 })
      const one = await look(subject, context.isQuick ? 2_000 : 10_000)
      found.push(one)
      context.log(
        `${one.subject}: ${one.mbPerReader.toFixed(2)} MB each, p99 of others ${one.beside.p99Ms.toFixed(1)} ms`,
      )
    }
    await stage.stop()
    const own = found.find(({ subject }) => subject === 'WMOC v2')!
    return {
      title: 'Slow readers',
      about:
        `${COUNT} people read 50 MB of one controller at 100 KB/s each. Others meanwhile ask the same controller for ` +
        '1,024 bytes, 100 times a second. Memory is the highest of the processes in the middle over that before. One look at each.',
      headings: [
        '',
        'MB a reader',
        'p99 ms without',
        'p99 ms',
        'longest ms',
        'req/s',
        'failed',
        'readers cut',
      ],
      rows: found.map(({ subject, alone, beside, mbPerReader, lost }): Cell[] => [
        subject,
        mbPerReader.toFixed(2),
        alone.p99Ms.toFixed(1),
        beside.p99Ms.toFixed(1),
        beside.maxMs.toFixed(0),
        beside.requestsPerSecond.toFixed(0),
        beside.failures,
        lost,
      ]),
      notes: [...notesOf(stage.subjects), ...stage.notes],
      figures: { slowReaderMb: own.mbPerReader, slowReaderP99Ms: own.beside.p99Ms },
    }
  },
}

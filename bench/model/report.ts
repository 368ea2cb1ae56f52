/** The model's figures as a page. */
import type { Balance } from './balance.ts'
import type { Departure } from './departure.ts'
import type { StoreCost } from './measure-store.ts'
import type { Storm } from './storm.ts'
import type { StoreLoad } from './store-load.ts'

export interface ModelFigures {
  readonly date: string
  readonly machine: string
  readonly balances: readonly Balance[]
  readonly loads: readonly StoreLoad[]
  /** Null: no Redis was given. */
  readonly cost: StoreCost | null
  readonly storms: readonly Storm[]
  readonly departures: readonly Departure[]
}

const whole = (value: number) => Math.round(value).toLocaleString('en-US')
const seconds = (ms: number) => (ms / 1_000).toFixed(1)

/** A Markdown table, columns padded. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, at) => Math.max(name.length, 4, ...rows.map((row) => row[at]!.length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' | ')} |`
  const rule = `| ${widths.map((width, at) => (at === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

export function modelPage(figures: ModelFigures): string {
  return `# A million controllers, as a model

Written by \`npm run bench:model -- --write\`: the gateway's own ring, admission, drain schedule and intervals, driven by a
simulated crowd. ${figures.date}, ${figures.machine}. Seeded: only the times of building and looking up differ from run to run.

## Balance and movement

Goals: max/mean at most 1.10; at most 1.05/(N+1) of the keys move when one of N shards joins; a lookup at most 1 µs.

${table(
  [
    'shards',
    'controllers',
    'max/mean',
    'min/mean',
    'moved by a join × (N+1)',
    'by a leave × N',
    'in vain',
    'build CPU ms',
    'lookup CPU ns',
  ],
  figures.balances.map((row) => [
    `${row.shards}`,
    whole(row.controllers),
    row.maxToMean.toFixed(3),
    row.minToMean.toFixed(3),
    row.movedByJoin.toFixed(3),
    row.movedByLeave.toFixed(3),
    whole(row.movedInVain),
    row.buildMs.toFixed(1),
    row.lookupNs.toFixed(0),
  ]),
)}

## What the shared store has to do at rest

An entry of presence counts as long as the lease of its shard lives, so that a tunnel is renewed every 45 s and not every 10.

${table(
  [
    'shards',
    'controllers',
    'lease calls/s',
    'renewal calls/s',
    'entries/call',
    'entries/s',
    'entries/s if each were its own lease',
  ],
  figures.loads.map((row) => [
    `${row.shards}`,
    whole(row.controllers),
    whole(row.leaseCalls),
    whole(row.renewCalls),
    whole(row.entriesPerCall),
    whole(row.renewedEntries),
    whole(row.entriesWithoutLeases),
  ]),
)}

${figures.cost === null ? 'The cost of these calls was not measured in this run (`--redis URL`).' : costText(figures.cost, figures.loads)}

## Storms

Every device waits by full jitter (base 1 s, cap 60 s) on top of what the gateway tells it; 100 ms from socket to registration;
default limits. A load balancer picks a shard at random for every try.

${table(
  [
    'what happens',
    'devices',
    'shards left',
    'half back s',
    'p99 s',
    'last s',
    'tries each',
    'most tries',
    'peak tries/s',
    'peak registrations/s',
  ],
  figures.storms.map((row) => [
    row.name,
    whole(row.devices),
    `${row.shards}`,
    seconds(row.p50Ms),
    seconds(row.p99Ms),
    seconds(row.lastMs),
    row.triesMean.toFixed(2),
    `${row.triesMax}`,
    whole(row.peakTriesPerSecond),
    whole(row.peakRegistrationsPerSecond),
  ]),
)}

## A shard that drains

${table(
  ['tunnels', 'of them with overlap', 'window s', 'all told within s', 'peak arrivals/s elsewhere'],
  figures.departures.map((row) => [
    whole(row.tunnels),
    `${Math.round(row.overlapShare * 100)} %`,
    seconds(row.windowMs),
    seconds(row.toldWithinMs),
    whole(row.peakArrivalsPerSecond),
  ]),
)}

## How to repeat

\`\`\`
npm run bench:model                               # on the screen
npm run bench:model -- --redis redis://host:port  # with the CPU of that (empty) Redis
npm run bench:model -- --write                    # and into this file
\`\`\`
`
}

function costText(cost: StoreCost, loads: readonly StoreLoad[]): string {
  const biggest = loads.at(-1)!
  const share = (entries: number) => ((entries * cost.renewedEntryUs) / 1e4).toFixed(1)
  const leases = ((biggest.leaseCalls / 2) * cost.leaseRoundUs) / 1e4
  return (
    `Measured on a real Redis on this machine: ${cost.renewedEntryUs.toFixed(2)} µs of its CPU for a renewed entry, ` +
    `${cost.leaseRoundUs.toFixed(0)} µs for a round of leases of 64 shards. At ${whole(biggest.controllers)} controllers on ` +
    `${biggest.shards} shards: ${share(biggest.renewedEntries)} % of a core for presence and ${leases.toFixed(1)} % for leases; ` +
    `were every entry its own lease, ${share(biggest.entriesWithoutLeases)} %.`
  )
}

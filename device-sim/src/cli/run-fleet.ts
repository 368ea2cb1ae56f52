/** A fleet on the command line: progress while it runs, a summary at the end. */
import { openCredentials } from '../fleet/credentials-file.ts'
import { createFleet, type FleetCounts } from '../fleet/fleet.ts'
import type { Options } from './options.ts'
import type { Screen } from './screen.ts'

/** Runs until `signal` aborts; resolves with the exit code. */
export async function runFleet(
  options: Options,
  screen: Screen,
  signal: AbortSignal,
  everyMs: number,
): Promise<number> {
  const size = options.fleet ?? 1
  const fleet = createFleet({
    url: options.url,
    size,
    credentials: openCredentials(options.credentials ?? null),
    rampPerSec: options.ramp,
    churnPerSec: options.churn,
    connectsPerSec: options.connects,
    protocol: options.protocol,
    profile: options.profile,
    features: options.features,
    faults: options.faults,
    reportEveryMs: (options.report ?? 60) * 1_000,
  })
  screen.line('fleet', { url: options.url, size, rampPerSec: options.ramp, churnPerSec: options.churn })
  fleet.start()
  const timer = setInterval(() => screen.progress(progressText(fleet.counts(), size)), everyMs)
  await aborted(signal)
  clearInterval(timer)
  const counts = fleet.counts()
  await fleet.stop()
  screen.line('summary', counts)
  return 0
}

/** One line: how many of how many, and what they did. */
export function progressText(counts: FleetCounts, size: number): string {
  const { online, started, waitingForClaim, requests, acknowledged, reconnects, awayMs, errors } = counts
  return [
    `online ${online}/${size}`,
    `started ${started}`,
    `waiting ${waitingForClaim}`,
    `requests ${requests}`,
    `acks ${acknowledged}`,
    `reconnects ${reconnects}`,
    `away p99 ${awayMs.p99} ms`,
    `errors ${errors}`,
  ].join('  ')
}

function aborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  if (signal.aborted) resolve()
  signal.addEventListener('abort', () => resolve(), { once: true })
  return promise
}

/** Gauges that are read when somebody scrapes: from a database, a dependency, a certificate. */
import type { Gauge } from 'prom-client'

export interface Sample<L extends string> {
  readonly labels: Readonly<Partial<Record<L, string>>>
  readonly value: number
}

export interface ScrapeOptions {
  /** Between two readings; scrapes in between get the last one. */
  readonly everyMs: number
  /** A scrape waits no longer for a reading. */
  readonly timeoutMs?: number
}

const TIMEOUT_MS = 2_000
/** A reading that failed is repeated, but not by every scrape. */
const RETRY_MS = 30_000

/**
 * Lets `read` say what `gauge` shows. Where it rejects, or takes too long, the gauge shows nothing: the scrape and all
 * other metrics go on.
 */
export function readOnScrape<L extends string>(
  gauge: Gauge<L>,
  read: () => Promise<readonly Sample<L>[]>,
  { everyMs, timeoutMs = TIMEOUT_MS }: ScrapeOptions,
): void {
  const { labelNames } = gauge as unknown as { readonly labelNames: readonly string[] }
  let dueAt = -Infinity
  let reading: Promise<void> | null = null

  function show(samples: readonly Sample<L>[]): void {
    gauge.reset()
    // A reset gauge without labels would show 0.
    if (samples.length === 0 && labelNames.length === 0) gauge.remove()
    for (const { labels, value } of samples) gauge.set(labels as never, value)
  }

  async function renew(): Promise<void> {
    try {
      show(await read())
      dueAt = performance.now() + everyMs
    } catch {
      show([])
      dueAt = performance.now() + Math.min(everyMs, RETRY_MS)
    } finally {
      reading = null
    }
  }

  show([])
  Object.assign(gauge, {
    async collect() {
      if (performance.now() < dueAt) return
      reading ??= renew()
      let timer: NodeJS.Timeout | undefined
      const timeout = new Promise<'late'>((resolve) => {
        timer = setTimeout(resolve, timeoutMs, 'late')
      })
      if ((await Promise.race([reading, timeout])) === 'late') show([])
      clearTimeout(timer)
    },
  })
}

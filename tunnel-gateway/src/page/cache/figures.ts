/** What was asked of each controller's pages: counted here, told to the API as differences, kept while it is away. */
import { AppError } from '@wmoc/platform/errors'
import type { Logger } from '@wmoc/platform/log'
import type { PageFigures } from '@wmoc/protocol/control-plane'
import type { ControlPlane } from '#src/control-plane/client.ts'

export type Tally = Omit<PageFigures, 'controllerId'>
type MutableTally = { -readonly [Name in keyof Tally]: number }

export interface Figures {
  count(controllerId: string, name: keyof Tally, by?: number): void
  /** Tells the API now. Rejects never; what it did not take stays. */
  flush(): Promise<void>
  stop(): Promise<void>
}

const EVERY_MS = 10_000
const MAX_BATCH = 1_000

interface Report {
  readonly seq: number
  readonly day: string
  readonly figures: PageFigures[]
}

/** @param stream Names this process for ever; the API counts what it is told by it once. */
export function createFigures(
  controlPlane: ControlPlane,
  stream: string,
  log: Logger,
  now: () => Date = () => new Date(),
): Figures {
  let counted = new Map<string, MutableTally>()
  let day = dayOf(now())
  let seq = 0
  const reports: Report[] = []
  let sending: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null

  /** Closes what was counted so far; while the API is away it goes on growing instead. */
  function close(): void {
    if (counted.size === 0 || reports.length > 0) return
    const all = [...counted].map(([controllerId, tally]) => ({ controllerId, ...tally }))
    for (let at = 0; at < all.length; at += MAX_BATCH)
      reports.push({ seq: ++seq, day, figures: all.slice(at, at + MAX_BATCH) })
    counted = new Map()
  }

  async function send(): Promise<void> {
    close()
    for (let report = reports[0]; report !== undefined; report = reports[0]) {
      try {
        await controlPlane.call('page-figures/report', { stream, ...report })
      } catch (error) {
        if (!(error instanceof AppError && error.code === 'malformed')) {
          log.debug('events', 'could not tell the figures of pages, will repeat', { error })
          return
        }
        log.warn('events', 'the API refused figures of pages for good', { error })
      }
      reports.shift()
    }
  }

  function flush(): Promise<void> {
    sending ??= send().finally(() => {
      sending = null
    })
    return sending
  }

  return {
    count(controllerId, name, by = 1) {
      timer ??= setInterval(() => void flush(), EVERY_MS).unref()
      if (counted.size === 0) day = dayOf(now())
      let tally = counted.get(controllerId)
      if (tally === undefined) {
        tally = { requests: 0, fromCache: 0, coalesced: 0, bytesToUsers: 0, bytesFromDevice: 0 }
        counted.set(controllerId, tally)
      }
      tally[name] += by
    },
    flush,
    async stop() {
      if (timer !== null) clearInterval(timer)
      await flush()
    },
  }
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10)
}

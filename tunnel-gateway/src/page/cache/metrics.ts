/** How pages are answered; the labels are a closed set. */
import type { Metrics } from '@wmoc/platform/metrics'
import type { KeptPages } from './kept-pages.ts'

export type CacheResult =
  | 'hit'
  | 'stale'
  /** The device said that nothing changed. */
  | 'revalidated'
  | 'coalesced'
  /** The device sent it, and it could have been another answer. */
  | 'miss'
  /** Nothing that is kept or shared. */
  | 'passed'

export interface CacheMetrics {
  answered(result: CacheResult): void
  bytes(direction: 'from_device' | 'to_users', count: number): void
}

export function createCacheMetrics(metrics: Metrics, kept: KeptPages): CacheMetrics {
  const requests = metrics.counter(
    'wmoc_gateway_page_cache_requests_total',
    'Requests of pages by how they were answered.',
    ['result'],
  )
  const bytes = metrics.counter(
    'wmoc_gateway_page_cache_transferred_bytes_total',
    'Bodies of pages: what devices sent, and what people were sent.',
    ['direction'],
  )
  const gauge = (name: string, help: string, read: () => number) => {
    const made = metrics.gauge(name, help)
    Object.assign(made, { collect: () => made.set(read()) })
  }
  gauge('wmoc_gateway_page_cache_bytes', 'Memory of kept answers of pages.', () => kept.bytes)
  gauge('wmoc_gateway_page_cache_entries', 'Kept answers of pages.', () => kept.size)
  return {
    answered: (result) => requests.inc({ result }),
    bytes: (direction, count) => bytes.inc({ direction }, count),
  }
}

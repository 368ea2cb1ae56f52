/** What metrics say of all controllers together; never of one of them. */
import type { Metrics } from '@wmoc/platform/metrics'
import { readOnScrape } from '@wmoc/platform/scrape'
import type { Sequelize } from 'sequelize'
import { rows } from '#src/kernel/rows.ts'

/** Counting a hundred thousand rows is cheap, but not free. */
const EVERY_MS = 30_000

const STATUSES = ['pending', 'online', 'offline', 'suspended'] as const
const ABSENCES = ['minutes', 'hours', 'days'] as const

/** `minutes`: less than ten of them; `hours`: less than a day. */
const COUNT_SQL = `
  SELECT CASE WHEN suspended_at IS NULL THEN status ELSE 'suspended' END AS status, CASE
      WHEN status_since > $now::timestamptz - interval '10 minutes' THEN 'minutes'
      WHEN status_since > $now::timestamptz - interval '1 day' THEN 'hours'
      ELSE 'days'
    END AS absence, count(*)::int AS count
  FROM controllers WHERE deleted_at IS NULL GROUP BY 1, 2`

interface Count {
  readonly status: (typeof STATUSES)[number]
  readonly absence: (typeof ABSENCES)[number]
  readonly count: number
}

/** Ties the gauges of the fleet to the table of controllers. */
export function watchFleet(metrics: Metrics, db: Sequelize, clock: () => Date): void {
  const count = () => rows<Count>(db, COUNT_SQL, { now: clock() })
  const sum = (counts: readonly Count[], test: (one: Count) => boolean) =>
    counts.reduce((total, one) => total + (test(one) ? one.count : 0), 0)

  const byStatus = async () => {
    const counts = await count()
    return STATUSES.map((status) => {
      return { labels: { status }, value: sum(counts, (one) => one.status === status) }
    })
  }
  const byAbsence = async () => {
    const counts = (await count()).filter(({ status }) => status === 'offline')
    return ABSENCES.map((duration) => {
      return { labels: { duration }, value: sum(counts, ({ absence }) => absence === duration) }
    })
  }
  const controllers = metrics.gauge('wmoc_api_controllers', 'Controllers by status.', ['status'])
  const offline = metrics.gauge(
    'wmoc_api_controllers_offline',
    'Controllers that are offline, by how long: less than ten minutes, less than a day, longer.',
    ['duration'],
  )
  readOnScrape(controllers, byStatus, { everyMs: EVERY_MS })
  readOnScrape(offline, byAbsence, { everyMs: EVERY_MS })
}

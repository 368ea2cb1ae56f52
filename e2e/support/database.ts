/** What a test reads behind the platform's back: rows of PostgreSQL, and limits of the shared store put back. */
import { Redis } from 'ioredis'
import { Client } from 'pg'
import type { QueryResultRow } from 'pg'
import type { TestStack } from './stack.ts'

export interface Database {
  rows<T extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<T[]>
  /**
   * Count and hash of every table, without the columns named and without what the gateway counts of pages, which it tells
   * every few seconds: equal before and after means that no row has changed.
   * `naming`: only of rows that have one of these ids in them.
   */
  fingerprint(options?: {
    withoutColumns?: readonly string[]
    naming?: readonly string[]
  }): Promise<Record<string, string>>
  close(): Promise<void>
}

/** One connection to the platform's own database. */
export async function openDatabase({ stack }: TestStack): Promise<Database> {
  const client = new Client({ connectionString: stack.databaseUrl })
  await client.connect()
  const rows: Database['rows'] = async <T extends QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ) => (await client.query<T>(text, [...values])).rows
  return {
    rows,
    async fingerprint({ withoutColumns = [], naming } = {}) {
      const tables = await rows<{ name: string }>(
        `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
           AND c.relname NOT IN ('page_figures', 'ingest_receipts') ORDER BY 1`,
      )
      const prints: Record<string, string> = {}
      for (const { name } of tables) {
        const [row] = await rows<{ print: string }>(
          `SELECT count(*) || ' ' || coalesce(md5(string_agg(j, '|' ORDER BY j)), '') AS print
           FROM (SELECT (to_jsonb(t) - $1::text[])::text AS j FROM "${name}" t) found
           WHERE $2::text[] IS NULL OR j LIKE ANY($2)`,
          [withoutColumns, naming?.map((id) => `%${id}%`) ?? null],
        )
        prints[name] = row!.print
      }
      return prints
    },
    close: () => client.end(),
  }
}

/** Fills every bucket of the rate limits again: they have tests of their own, and one person does the work of many here. */
export async function forgetLimits({ stack }: TestStack): Promise<void> {
  const redis = new Redis(stack.redisUrl)
  try {
    const keys = await redis.keys('wmoc:limit:*')
    if (keys.length > 0) await redis.del(...keys)
  } finally {
    await redis.quit()
  }
}

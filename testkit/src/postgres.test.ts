import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Client } from 'pg'
import { testDatabase } from './postgres.ts'

async function query(url: string, text: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(text)).rows
  } finally {
    await client.end()
  }
}

test('gives every caller an empty database of its own', async () => {
  const [one, two] = await Promise.all([testDatabase(), testDatabase()])
  await query(one.url, 'CREATE TABLE seen (n int)')
  assert.deepEqual(await query(two.url, "SELECT to_regclass('seen') AS found"), [{ found: null }])
  await one.drop()
  await two.drop()
  await assert.rejects(query(one.url, 'SELECT 1'), { code: '3D000' })
})

test('prepares a template once for callers that come together', async () => {
  let prepared = 0
  const template = {
    name: `postgres test ${process.pid}`,
    prepare: async (url: string) => {
      prepared += 1
      await query(url, 'CREATE TABLE made AS SELECT 7 AS n')
    },
  }
  const databases = await Promise.all([1, 2, 3].map(() => testDatabase(template)))
  for (const { url } of databases) assert.deepEqual(await query(url, 'SELECT n FROM made'), [{ n: 7 }])
  assert.equal(prepared, 1)
  await Promise.all(databases.map((database) => database.drop()))
})

/** Ten thousand controllers in one list. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Client } from 'pg'
import { eventually } from '../../e2e/support/stack.ts'
import { openPortal, type Portal } from './support/portal.ts'

const OWNER = 'fleet@wmoc.example'
const MANY = 10_000
let portal: Portal

before(async () => {
  portal = await openPortal()
  const owner = await portal.stack.signIn(OWNER)
  const made = await owner.api.controllers.activate({ body: { name: 'Controller 00000' } })
  const database = new Client({ connectionString: portal.stack.stack.databaseUrl })
  await database.connect()
  const { rows } = await database.query<{ column_name: string }>(
    `SELECT column_name FROM information_schema.columns WHERE table_name = 'controllers' AND is_generated = 'NEVER'`,
  )
  const own: Record<string, string> = {
    id: 'gen_random_uuid()',
    name: `'Controller ' || lpad(n::text, 5, '0')`,
    page_label: `'m' || n`,
    label: `'m' || n`,
    activation_token: 'NULL',
    activation_expires_at: 'NULL',
    tags: `CASE WHEN n % 100 = 0 THEN ARRAY['hundred'] ELSE '{}' END`,
  }
  const columns = rows.map((row) => row.column_name)
  await database.query(
    `INSERT INTO controllers (${columns.map((name) => `"${name}"`).join(', ')})
     SELECT ${columns.map((name) => own[name] ?? `c."${name}"`).join(', ')}
     FROM controllers c, generate_series(1, ${MANY - 1}) AS n WHERE c.id = $1`,
    [made.controller.id],
  )
  await database.end()
})
after(() => portal?.close())

test('a list of ten thousand has only the rows in sight, in the document and on the wire', async () => {
  const visit = await portal.visit()
  const { page } = visit
  await visit.signIn(OWNER)
  let pages = 0
  page.on('request', (request) => {
    if (/\/api\/controllers\?.*limit=100/.test(request.url())) pages += 1
  })
  await page.getByRole('link', { name: 'Controllers', exact: true }).first().click()
  await page.getByRole('link', { name: 'Controller 00000' }).waitFor()
  await page.getByText('10,000 controllers').or(page.getByText('10000 controllers')).first().waitFor()
  assert.equal(pages, 1)
  assert.ok((await page.locator('main li').count()) < 60)

  await eventually(async () => {
    const names = await page
      .locator('main li')
      .getByRole('link', { name: /^Controller \d{5}$/ })
      .allInnerTexts()
    const shown = names.map((name) => Number(/\d{5}/.exec(name)?.[0]))
    if (shown.includes(350)) return true
    // What is not loaded yet has no name: on only from where there are some.
    if (shown.length > 0) await page.mouse.wheel(0, Math.max(...shown) < 350 ? 1_000 : -500)
    return false
  }, 'the 350th in sight')
  assert.ok((await page.locator('main li').count()) < 60)

  await page.getByLabel('Search by name, MAC or model').fill('09999')
  await page.waitForURL('**/controllers?q=09999')
  await page.getByRole('link', { name: 'Controller 09999' }).waitFor()
  await eventually(async () => (await page.locator('main li').count()) === 1, 'that one alone')
  await page.goto('/controllers?tag=hundred&sort=-name')
  await page.getByRole('link', { name: 'Controller 09900' }).waitFor()
  assert.deepEqual(visit.problems, [])
  await visit.close()
})

/** One session in several tabs, and what may not happen to it. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Page } from 'playwright-core'
import { openPortal, type Portal } from './support/portal.ts'

let portal: Portal
before(async () => {
  portal = await openPortal()
})
after(() => portal?.close())

/** Refuses the page's token, once a route. @param ready When the refusals go out. */
async function refuseOnce(page: Page, pattern: string, ready: () => Promise<void>): Promise<void> {
  let isRefused = false
  await page.route(pattern, async (route) => {
    if (isRefused) return route.fallback()
    isRefused = true
    await ready()
    await route.fulfill({
      status: 401,
      contentType: 'application/problem+json',
      body: JSON.stringify({ type: 'x', title: 'x', status: 401, code: 'unauthenticated' }),
    })
  })
}

suite('a session', () => {
  test('is picked up after a reload and in a new tab', async () => {
    const visit = await portal.visit()
    await visit.signIn('tabs@wmoc.example')
    await visit.page.reload()
    await visit.page.getByText('Add your first controller').waitFor()
    const other = await visit.newPage()
    await other.goto('/account')
    await other.getByText('tabs@wmoc.example').first().waitFor()
    assert.deepEqual(visit.problems, [])
    await visit.close()
  })

  test('gets one new token for all requests that were refused, in all tabs', async () => {
    const visit = await portal.visit()
    await visit.signIn('refused@wmoc.example')
    const tabs = [visit.page, await visit.newPage(), await visit.newPage()]
    for (const tab of tabs.slice(1)) {
      await tab.goto('/')
      await tab.getByText('Add your first controller').waitFor()
    }
    let exchanges = 0
    visit.context.on('request', (request) => {
      if (request.url().endsWith('/api/auth/refresh')) exchanges += 1
    })
    // All went out with the same token, however slow the tabs are.
    const all = Promise.withResolvers<void>()
    let asked = 0
    const together = () => {
      asked += 1
      if (asked === tabs.length) all.resolve()
      return all.promise
    }
    for (const tab of tabs) await refuseOnce(tab, '**/api/auth/sessions', together)
    await Promise.all(tabs.map((tab) => tab.getByRole('link', { name: 'Account' }).first().click()))
    await Promise.all(tabs.map((tab) => tab.getByText('This one').waitFor()))
    assert.ok(exchanges >= 1 && exchanges <= 2, `${exchanges} exchanges`)
    await visit.close()
  })

  test('ends in all tabs at once', async () => {
    const visit = await portal.visit()
    await visit.signIn('out@wmoc.example')
    const other = await visit.newPage()
    await other.goto('/account')
    await other.getByText('This one').waitFor()
    await visit.page.getByRole('button', { name: /out@wmoc.example/ }).click()
    await visit.page.getByRole('menuitem', { name: 'Sign out' }).click()
    await visit.page.getByRole('heading', { name: 'Sign in' }).waitFor()
    await other.getByRole('heading', { name: 'Sign in' }).waitFor()
    assert.equal(new URL(other.url()).search, '?next=/account')
    assert.deepEqual(visit.problems, [])
    await visit.close()
  })

  test('never leads to another site after sign-in', async () => {
    for (const next of ['//evil.example', '/\\evil.example', 'https://evil.example/']) {
      const visit = await portal.visit()
      const link = new URL(await portal.stack.signInLink('next@wmoc.example'))
      await visit.page.goto(`/sign-in?next=${encodeURIComponent(next)}${link.hash}`)
      await visit.page.getByText('Add your first controller').waitFor()
      assert.equal(new URL(visit.page.url()).origin, portal.stack.url)
      await visit.close()
    }
  })

  test('keeps the language and the theme that the person chose', async () => {
    const visit = await portal.visit()
    const { page } = visit
    await visit.signIn('look@wmoc.example')
    await visit.go('/account')
    await page.getByRole('combobox', { name: 'Theme' }).click()
    await page.getByRole('option', { name: 'Dark' }).click()
    await page.getByRole('combobox', { name: 'Language' }).click()
    await page.getByRole('option', { name: 'Русский' }).click()
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByRole('heading', { name: 'Учётная запись' }).waitFor()
    await page.locator('html.dark').waitFor()

    const elsewhere = await portal.visit()
    await elsewhere.signIn('look@wmoc.example')
    await elsewhere.page.locator('html.dark[lang=ru]').waitFor()
    assert.deepEqual([...visit.problems, ...elsewhere.problems], [])
    await elsewhere.close()
    await visit.close()
  })

  test('is not lost while the server is away: the page waits and says so', async () => {
    const visit = await portal.visit()
    const { page } = visit
    await visit.signIn('patient@wmoc.example')
    await page.route('**/api/auth/refresh', (route) => route.abort())
    await page.goto('/account')
    await page.getByText('Waiting for the server…').waitFor()
    await page.unroute('**/api/auth/refresh')
    await page.getByText('This one').waitFor()
    await visit.close()
  })

  test('of a person who went offline says so', async () => {
    const visit = await portal.visit()
    await visit.signIn('offline@wmoc.example')
    await visit.context.setOffline(true)
    await visit.page.getByText('You are offline.').waitFor()
    await visit.context.setOffline(false)
    await visit.page.getByText('You are offline.').waitFor({ state: 'detached' })
    await visit.close()
  })
})

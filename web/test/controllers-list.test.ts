/** Many controllers handled at once, in the list. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import { Client } from 'pg'
import { eventually } from '../../e2e/support/stack.ts'
import type { Person } from '../../e2e/support/stack.ts'
import { violations } from './support/accessibility.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

const OWNER = 'list@wmoc.example'
const FRIEND = 'friend@wmoc.example'
let portal: Portal
let owner: Person
let visit: Visit

before(async () => {
  portal = await openPortal()
  owner = await portal.stack.signIn(OWNER)
  for (const name of ['Alpha', 'Beta', 'Gamma', 'Delta'])
    await owner.api.controllers.activate({ body: { name } })
  const friend = await portal.stack.signIn(FRIEND)
  await friend.api.controllers.activate({ body: { name: 'Of a friend' } })
  await lookInto(OWNER, FRIEND)
  visit = await portal.visit()
  await visit.signIn(OWNER)
})
after(async () => {
  await visit?.close()
  await portal?.close()
})

/** Makes one person a viewer of what the other owns. */
async function lookInto(viewer: string, of: string): Promise<void> {
  const database = new Client({ connectionString: portal.stack.stack.databaseUrl })
  await database.connect()
  await database.query(
    `INSERT INTO memberships (workspace_id, user_id, role, created_at)
     SELECT w.id, v.id, 'viewer', now() FROM workspaces w JOIN users o ON o.id = w.owner_id, users v
     WHERE o.email = $1 AND v.email = $2`,
    [of, viewer],
  )
  await database.end()
}

async function tagsOf(): Promise<Record<string, readonly string[]>> {
  const { items } = await owner.api.controllers.list()
  return Object.fromEntries(items.map((item) => [item.name, item.tags]))
}

/** With no button half way to its colour under the pointer, and without the kit's toasts. */
async function holdsToAxe({ page } = visit): Promise<void> {
  await page.mouse.move(0, 0)
  const closeToast = page.locator('[data-slot="viewport"] [data-slot="close"]')
  // All at once: one that goes by itself meanwhile is not waited for.
  await closeToast.evaluateAll((buttons) => buttons.forEach((button) => (button as HTMLElement).click()))
  await closeToast.first().waitFor({ state: 'detached' })
  assert.deepEqual(await violations(page), [])
}

const dialog = () => visit.page.getByRole('dialog')
const box = (name: string) => visit.page.getByRole('checkbox', { name: `Choose ${name}`, exact: true })
const action = (name: string) => visit.page.getByRole('group').getByRole('button', { name, exact: true })

suite('controllers chosen in the list', () => {
  test('are chosen by keyboard, with Shift all between, and all shown at once', async () => {
    const { page } = visit
    await visit.go('/controllers')
    await box('Alpha').focus()
    await page.keyboard.press('Space')
    await page.getByText('One chosen').waitFor()
    await box('Delta').click({ modifiers: ['Shift'] })
    await page.getByText('3 chosen').waitFor()
    await page.getByRole('checkbox', { name: '3 chosen' }).click()
    await page.getByText('5 chosen').waitFor()
    await action('Choose none').click()
    await page.getByText('Choose all 5 shown').waitFor()
    assert.equal(new URL(page.url()).pathname, '/controllers')
  })

  test('get a tag, and lose it again by "Undo" without losing the others', async () => {
    const { page } = visit
    const { items } = await owner.api.controllers.list({ query: { q: 'Beta' } })
    await owner.api.controllers.update({ params: { id: items[0]!.id }, body: { tags: ['north'] } })
    await visit.go('/controllers')
    await box('Alpha').click()
    await box('Beta').click()
    await action('Add a tag').click()
    await dialog().getByLabel('Tag').fill('not a tag!')
    await dialog().getByRole('button', { name: 'Add a tag' }).click()
    await dialog().getByText('Up to 40 letters').waitFor()
    await dialog().getByLabel('Tag').fill('Winter')
    await holdsToAxe()
    await dialog().getByRole('button', { name: 'Add a tag' }).click()
    await page.getByText('2 controllers have the tag winter now').first().waitFor()
    assert.deepEqual((await tagsOf()).Alpha, ['winter'])
    assert.deepEqual((await tagsOf()).Beta, ['north', 'winter'])
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByText('The tags are as before').first().waitFor()
    assert.deepEqual((await tagsOf()).Alpha, [])
    assert.deepEqual((await tagsOf()).Beta, ['north'])
  })

  test('lose a tag that some of them have', async () => {
    const { page } = visit
    await visit.go('/controllers')
    await page.getByRole('checkbox', { name: 'Choose all 5 shown' }).click()
    await action('Remove a tag').click()
    await dialog()
      .getByRole('combobox')
      .filter({ hasText: /^north$/ })
      .waitFor()
    await dialog().getByRole('button', { name: 'Remove a tag' }).click()
    await page.getByText('One controller has lost the tag north').first().waitFor()
    assert.deepEqual((await tagsOf()).Beta, [])
  })

  test('that did not work are named with the reason, and stay chosen', async () => {
    const { page } = visit
    await visit.go('/controllers')
    await page.getByRole('checkbox', { name: 'Choose all 5 shown' }).click()
    await action('Add a tag').click()
    await dialog().getByLabel('Tag').fill('all')
    await dialog().getByRole('button', { name: 'Add a tag' }).click()
    const outcome = page.getByRole('alert', { name: 'Result' })
    await outcome.getByText('Done: 4. Failed: 1. Not begun: 0.').waitFor()
    await page.getByText('4 controllers have the tag all now').first().waitFor()
    await outcome.getByText('Of a friend: Your role does not allow this.').waitFor()
    await page.getByText('One chosen').waitFor()
    await holdsToAxe()
    await page.screenshot({ path: artefact('screens', 'bulk-outcome.png') })
    await page.setViewportSize({ width: 360, height: 740 })
    await holdsToAxe()
    await page.screenshot({ path: artefact('screens', 'bulk-outcome-360.png') })
    const overflow = await page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    )
    assert.ok(overflow <= 0, `${overflow} px too wide`)
    await page.setViewportSize({ width: 1280, height: 800 })
    assert.equal((await tagsOf()).Delta?.[0], 'all')
  })

  test('get one command each', async () => {
    const { page } = visit
    await visit.go('/controllers')
    await box('Alpha').click()
    await box('Gamma').click()
    await action('Send a command').click()
    await dialog().getByText('Some are offline').waitFor()
    await dialog().getByLabel('Command').fill('restart')
    await dialog().getByRole('button', { name: 'Send' }).click()
    await page.getByText('The command is on its way to 2 controllers').first().waitFor()
    for (const name of ['Alpha', 'Gamma']) {
      const { items } = await owner.api.controllers.list({ query: { q: name } })
      const sent = await owner.api.commands.list({ params: { id: items[0]!.id }, query: {} })
      assert.deepEqual(
        sent.items.map((command) => command.name),
        ['restart'],
      )
    }
  })

  test('are deleted only after their number was typed, and the question names them', async () => {
    const { page } = visit
    await visit.go('/controllers')
    await box('Gamma').click()
    await box('Delta').click()
    await action('Delete').click()
    await dialog().getByText('Delete 2 controllers?').waitFor()
    assert.deepEqual(await dialog().getByRole('listitem').allInnerTexts(), ['Delta', 'Gamma'])
    await holdsToAxe()
    assert.ok(await dialog().getByRole('button', { name: 'Delete' }).isDisabled())
    await dialog().getByRole('textbox').fill('2')
    await dialog().getByRole('button', { name: 'Delete' }).click()
    await page.getByText('2 controllers were deleted').first().waitFor()
    await box('Gamma').waitFor({ state: 'detached' })
    assert.deepEqual(Object.keys(await tagsOf()), ['Alpha', 'Beta', 'Of a friend'])
    // The refusals were meant.
    assert.deepEqual(
      visit.problems.filter((text) => !/\b403\b/.test(text)),
      [],
    )
  })
})

suite('views of the list', () => {
  test('are saved from what is shown, opened by their link, and forgotten with a way back', async () => {
    const { page } = visit
    const views = page.getByRole('navigation', { name: 'Saved views' })
    await visit.go('/controllers?q=Alph&sort=-name')
    await page.getByRole('button', { name: 'Save this view' }).click()
    await dialog().getByRole('button', { name: 'Save' }).click()
    await dialog().getByText('From 1 to 60 characters.').waitFor()
    await dialog().getByLabel('Name of the view').fill('The first')
    await holdsToAxe()
    await dialog().getByRole('button', { name: 'Save' }).click()
    await views.locator('a[aria-current=true]', { hasText: 'The first' }).waitFor()
    await page.getByRole('button', { name: 'Save this view' }).waitFor({ state: 'detached' })

    await views.getByRole('link', { name: 'All' }).click()
    await page.waitForURL((url) => url.search === '')
    await box('Beta').waitFor()
    await page.reload()
    await views.getByRole('link', { name: 'The first' }).click()
    await page.waitForURL('**/controllers?q=Alph&sort=-name')
    await box('Beta').waitFor({ state: 'detached' })
    await eventually(
      async () => (await page.getByRole('searchbox').inputValue()) === 'Alph',
      'the words searched',
    )
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 800 })
      await holdsToAxe()
      await page.screenshot({ path: artefact('screens', `views-${width}.png`) })
    }
    await page.setViewportSize({ width: 1280, height: 800 })

    await page.getByRole('button', { name: 'Forget the view The first' }).click()
    await views.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Undo' }).click()
    await views.getByRole('link', { name: 'The first' }).waitFor()
    assert.equal((await owner.api.controllers.listViews()).items.length, 1)
  })

  test('have names of their own', async () => {
    const { page } = visit
    await visit.go('/controllers?status=pending')
    await page.getByRole('button', { name: 'Save this view' }).click()
    await dialog().getByLabel('Name of the view').fill('the FIRST')
    await dialog().getByRole('button', { name: 'Save' }).click()
    await dialog().getByText('You have a view of this name already.').waitFor()
    await dialog().getByLabel('Name of the view').fill('Waiting')
    await dialog().getByRole('button', { name: 'Save' }).click()
    await page.getByRole('link', { name: 'Waiting' }).waitFor()
    // The refusal was meant.
    assert.deepEqual(
      visit.problems.filter((text) => !/\b40[39]\b/.test(text)),
      [],
    )
  })
})

test('the list in Russian, dark, on a phone: bar, questions and a change of language', async () => {
  const other = await portal.visit({ theme: 'dark', locale: 'ru' }, { viewport: { width: 360, height: 740 } })
  const { page } = other
  await other.signIn(OWNER)
  // Signing in has taken the account's language.
  await page.evaluate(() => localStorage.setItem('wmoc.locale', 'ru'))
  await page.goto('/controllers')
  await page.getByRole('checkbox', { name: 'Выбрать все показанные: 3' }).click()
  await page.getByText('Выбрано 3').waitFor()
  await holdsToAxe(other)
  await page.screenshot({ path: artefact('screens', 'bulk-ru-360.png') })
  for (const name of ['Добавить метку', 'Снять метку', 'Отправить команду', 'Удалить']) {
    await page.getByRole('group').getByRole('button', { name, exact: true }).click()
    await page.getByRole('dialog').waitFor()
    await holdsToAxe(other)
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
  }
  const overflow = await page.evaluate(
    () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
  )
  assert.ok(overflow <= 0, `${overflow} px too wide`)
  await page.keyboard.press('Control+k')
  await page.getByRole('option', { name: 'English' }).click()
  await page.getByText('3 chosen').waitFor()
  assert.deepEqual(other.problems, [])
  await other.close()
})

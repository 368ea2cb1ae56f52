/** A controller's page while its controller lives, goes and comes back. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import { eventually } from '../../e2e/support/stack.ts'
import type { Person, SimulatedController } from '../../e2e/support/stack.ts'
import { violations } from './support/accessibility.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

const OWNER = 'owner@wmoc.example'
let portal: Portal
let owner: Person
let visit: Visit
let id: string
let sim: SimulatedController

before(async () => {
  portal = await openPortal()
  owner = await portal.stack.signIn(OWNER)
  ;({ id, sim } = await portal.stack.claimSim(owner, {
    state: 'boiler',
    name: 'Boiler room',
    args: ['--report', '1'],
  }))
  visit = await portal.visit()
  await visit.signIn(OWNER)
})
after(async () => {
  await visit?.close()
  await sim?.stop()
  await portal?.close()
})

suite('the page of a controller', () => {
  test('shows a new value of a metric as it comes', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}`)
    const uptime = page.getByRole('link', { name: /^uptime/ })
    await uptime.waitFor()
    const first = await uptime.innerText()
    await uptime.filter({ hasNotText: first.split('\n')[1]! }).waitFor()
    await uptime.click()
    await page.locator('main canvas').waitFor()
    await page.getByText('Min', { exact: false }).first().waitFor()
    await page.screenshot({ path: artefact('screens', 'metric-one.png') })
  })

  test('opens the device page on an origin of its own, without a way back', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/page`)
    const [opened] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open its page' }).first().click(),
    ])
    await opened.waitForLoadState()
    assert.match(new URL(opened.url()).hostname, /^[a-z0-9-]+\.localhost$/)
    assert.equal(await opened.evaluate(() => window.opener === null), true)
    await opened.close()
  })

  test('sends a command and shows what the device answered, and the line it logs, live', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/commands`)
    await page.getByLabel('Command', { exact: true }).fill('switch.set')
    await page.getByLabel('Parameters (JSON)').fill('{"on": tru')
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.getByText('This is not JSON of at most 8 KiB.').waitFor()
    const logs = await visit.newPage()
    await Promise.all([
      logs.waitForResponse((response) => /\/api\/events\?.*logs=/.test(response.url())),
      logs.goto(`/controllers/${id}/logs`),
    ])
    await logs.getByRole('log').getByText('booted').waitFor()

    await page.getByLabel('Parameters (JSON)').fill('{"on": true}')
    await page.getByRole('button', { name: 'Send', exact: true }).click()
    await page.getByText('→ {"on":true}').waitFor()
    await page.getByRole('listitem').getByText('Done').waitFor()
    await logs.getByRole('log').getByText('heater turned on by a command').waitFor()

    await logs.getByRole('button', { name: 'Pause' }).click()
    await owner.api.commands.send({ params: { id }, body: { name: 'identify' } })
    await logs.getByRole('button', { name: 'Go on (1 new)' }).click()
    await logs.getByRole('log').getByText('the light blinks').waitFor()

    await logs.getByLabel('Search in messages').fill('blinks')
    await logs.getByRole('log').getByText('heater turned on').waitFor({ state: 'detached' })
    const [file] = await Promise.all([
      logs.waitForEvent('download'),
      logs.getByRole('button', { name: 'Download these lines' }).click(),
    ])
    assert.equal(file.suggestedFilename(), 'Boiler-room.log')
    await logs.close()
  })

  test('tells that the device is away, keeps commands for it, and has them done when it is back', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/page`)
    await sim.stop()
    await page.getByText('The controller is offline', { exact: true }).waitFor()
    await page.screenshot({ path: artefact('screens', 'page-offline.png'), fullPage: true })
    assert.deepEqual(await violations(page), [])
    await page.getByRole('link', { name: 'To the commands' }).click()
    await page.getByText('The controller is offline: the command waits for it.').waitFor()
    for (const name of ['identify', 'fail']) {
      await page.getByLabel('Command', { exact: true }).fill(name)
      await page.getByRole('button', { name: 'Send', exact: true }).click()
      await page.getByRole('button', { name: `Cancel ${name}` }).waitFor()
    }
    await page.getByRole('button', { name: 'Cancel fail' }).click()
    await page.getByRole('button', { name: 'Cancel fail' }).waitFor({ state: 'detached' })

    sim = portal.stack.startSim({ state: 'boiler', args: ['--report', '1'] })
    await page.getByText('→ {"blinks":3}').first().waitFor()
    await page.locator('main header').getByText('Online').waitFor()
  })

  test('brings news of it to the inbox and counts them', async () => {
    const { page } = visit
    await visit.go('/notifications')
    await page.getByText('Boiler room was added').waitFor()
    await page.getByRole('button', { name: 'Mark all as read' }).click()
    await page.getByRole('button', { name: 'Unread', exact: true }).click()
    await page.getByText('Everything is read').waitFor()
    await page.getByRole('switch', { name: 'Quiet hours' }).click()
    await page.getByLabel('From').fill('23:00')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('Saved', { exact: true }).first().waitFor()
    await page.reload()
    await eventually(async () => (await page.getByLabel('From').inputValue()) === '23:00', 'what was saved')
    await page.getByRole('button', { name: 'Send a test' }).click()
    await page.getByText(`A test is on its way to ${OWNER}`).first().waitFor()
  })

  test('is found by the palette and by keys', async () => {
    const { page } = visit
    await visit.go('/')
    await page.locator('main h1').waitFor()
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    assert.deepEqual(await violations(page), [])
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('Control+k')
    await page.getByPlaceholder('Where to?').fill('boil')
    await page.getByRole('option', { name: /Boiler room/ }).waitFor()
    assert.deepEqual(await violations(page), [])
    await page.screenshot({ path: artefact('screens', 'palette.png') })
    await page.keyboard.press('Enter')
    await page.waitForURL(`**/controllers/${id}`)
    // The second key counts for less than a second.
    await eventually(async () => {
      await page.keyboard.press('g')
      await page.keyboard.press('c')
      return page.waitForURL('**/controllers', { timeout: 3_000 }).then(
        () => true,
        () => false,
      )
    }, 'the list')
  })

  test('takes a new name and tags, refuses to write over a change of somebody else', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/settings`)
    const name = page.getByLabel('Name', { exact: true }).first()
    await name.fill('Cellar')
    await page.getByPlaceholder('Add a tag').fill('heating')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByRole('heading', { name: 'Cellar' }).waitFor()

    await owner.api.controllers.update({ params: { id }, body: { name: 'Attic' } })
    await page.getByRole('heading', { name: 'Attic' }).waitFor()
    await name.fill('Garage')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText('Somebody else changed this meanwhile.').waitFor()
    await page.getByRole('button', { name: 'Load what is stored now' }).click()
    await eventually(async () => (await name.inputValue()) === 'Attic', 'the stored name')

    await visit.go('/controllers')
    await page.getByRole('button', { name: 'Show only with the tag heating' }).click()
    await page.waitForURL('**/controllers?tag=heating')
    await page.getByRole('link', { name: 'Attic' }).waitFor()
  })

  test('shows what a device says of itself as text and nothing else', async () => {
    const { page } = visit
    const evil = `"><img src=x onerror="document.title='owned'"><b>`
    await owner.api.controllers.update({
      params: { id },
      body: { name: evil, metadata: { [evil.slice(0, 50)]: evil } },
    })
    for (const [path, ready] of [
      ['/', 'main ul'],
      ['/controllers', 'main li'],
      [`/controllers/${id}`, 'main dl'],
      ['/notifications', 'main li'],
    ] as const) {
      await visit.go(path)
      await page.locator(ready).first().waitFor()
      assert.equal(await page.locator('main img, main b').count(), 0, path)
      assert.ok(!(await page.title()).startsWith('owned'), path)
    }
    await owner.api.controllers.update({ params: { id }, body: { name: 'Boiler room' } })
  })

  test('is deleted only after its name was typed', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/settings`)
    await page.getByRole('button', { name: 'Delete this controller' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('textbox').fill('boiler')
    assert.ok(await dialog.getByRole('button', { name: 'Delete this controller' }).isDisabled())
    await page.screenshot({ path: artefact('screens', 'delete.png') })
    assert.deepEqual(await violations(page), [])
    await dialog.getByRole('textbox').fill('Boiler room')
    await dialog.getByRole('button', { name: 'Delete this controller' }).click()
    await page.waitForURL('**/controllers')
    await page.getByText('Add your first controller').waitFor()
  })

  test('leaves nothing on the console', () => {
    // The refused save is what the browser itself notes.
    assert.deepEqual(
      visit.problems.filter((line) => !line.includes('status of 412')),
      [],
    )
  })
})

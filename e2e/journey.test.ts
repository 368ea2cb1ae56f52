/** From the first sign-in to a command that waited for its controller: what a newcomer does, in a real browser. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import type { Page } from 'playwright-core'
import { overviewShown } from './support/browser.ts'
import { eventually, openStack } from './support/stack.ts'
import type { SimulatedController, TestStack } from './support/stack.ts'

const SIM = { state: 'greenhouse', args: ['--model', 'WMOC Green 1', '--report', '1'] }
const FILE = { name: 'schedule.json', mimeType: 'application/json', buffer: Buffer.from('{"06:00":"on"}') }

suite('the journey of a newcomer', () => {
  let platform: TestStack
  let browser: TestBrowser
  let watched: WatchedContext
  let portal: Page
  let device: Page
  let sim: SimulatedController
  let controller: string

  const shot = (page: Page, name: string) =>
    page.screenshot({ path: artefact('screens', 'journey', `${name}.png`), fullPage: true })
  const tab = (name: string) =>
    portal.getByRole('navigation', { name: 'Parts of this controller' }).getByRole('link', { name }).click()

  before(async () => {
    ;[platform, browser] = await Promise.all([openStack(), openBrowser()])
    watched = await browser.newContext({ locale: 'en-GB' })
    portal = await watched.newPage()
  })
  after(async () => {
    await browser?.close()
    await platform?.stop()
  })

  test('signs in by the one-time link', async () => {
    const link = await platform.signInLink('owner@wmoc.example')
    await portal.goto(link)
    await overviewShown(portal)
    await shot(portal, '01-overview')
    const stranger = await browser.newContext()
    const again = await stranger.newPage()
    await again.goto(link)
    await again.getByText('The link is wrong, was used already, or is too old.').waitFor()
    await stranger.close()
  })

  test('claims the waiting controller by the code it shows', async () => {
    sim = platform.startSim(SIM)
    const { code } = await sim.waitFor('activation required')
    await portal.goto(`${platform.url}/activate`)
    await portal.getByRole('textbox', { name: 'Code' }).fill(String(code))
    await portal.getByRole('button', { name: 'Find' }).click()
    await portal.getByRole('heading', { name: 'Is this your controller?' }).waitFor()
    await portal.getByText('WMOC Green 1').waitFor()
    await shot(portal, '02-confirm')
    await portal.getByRole('textbox', { name: 'Name' }).fill('Greenhouse')
    await portal.getByRole('button', { name: 'Yes, add it' }).click()
    await portal.getByRole('heading', { name: 'It is there' }).waitFor()
    await shot(portal, '03-claimed')
    await portal
      .locator('a[href^="/controllers/"]')
      .filter({ hasText: /Open|To the controller/ })
      .first()
      .click()
    await portal.getByRole('heading', { name: 'Greenhouse' }).waitFor()
    controller = portal.url()
    await shot(portal, '04-controller')
  })

  test("opens the controller's own page on its own origin, flips its switch and uploads a file through it", async () => {
    const [opened] = await Promise.all([
      portal.waitForEvent('popup'),
      portal
        .getByRole('link', { name: /Open its page/ })
        .first()
        .click(),
    ])
    device = opened
    await device.getByRole('heading', { name: 'Status' }).waitFor()
    const { origin, hostname } = new URL(device.url())
    assert.match(hostname, /^[a-z0-9-]+\.localhost$/)
    assert.notEqual(origin, platform.url)
    assert.equal(await device.evaluate('opener === null'), true)
    await device.getByRole('button', { name: 'Turn on' }).click()
    await device.getByRole('button', { name: 'Turn off' }).waitFor()
    await shot(device, '05-device')
    await device.getByRole('link', { name: 'Files' }).click()
    await device.getByLabel('File').setInputFiles(FILE)
    await device.getByRole('button', { name: 'Upload' }).click()
    const digest = createHash('sha256').update(FILE.buffer).digest('hex')
    await device.getByText(digest).waitFor()
    await shot(device, '06-device-files')
  })

  test('sees the temperature move on its chart', async () => {
    await tab('Metrics')
    await portal.getByRole('img', { name: 'Chart of temperature' }).waitFor()
    const panel = portal.getByRole('region', { name: 'temperature' })
    const shown = async () => Number.parseFloat((await panel.locator('span').first().textContent()) ?? '')
    const first = await eventually(shown, 'a temperature')
    // The heater is on since the switch was flipped.
    await eventually(async () => (await shown()) > first + 1, 'a warmer room', 120_000)
    await shot(portal, '07-metrics')
  })

  test('sees the log line appear live', async () => {
    await tab('Logs')
    const log = portal.getByRole('log', { name: 'Logs' })
    await log.getByText('heater turned on from the web page').waitFor()
    await device.getByRole('link', { name: 'Status' }).click()
    await device.getByRole('button', { name: 'Turn off' }).click()
    await log.getByText('heater turned off from the web page').waitFor()
    await shot(portal, '08-logs')
  })

  test('sends a command and sees it done', async () => {
    await tab('Commands')
    await portal.getByLabel('Command', { exact: true }).fill('identify')
    await portal.getByRole('button', { name: 'Send' }).click()
    const row = portal.getByRole('listitem').filter({ hasText: 'identify' })
    await row.getByText('Done').waitFor()
    await row.getByText('{"blinks":3}').or(row.getByText('blinks')).waitFor()
    await shot(portal, '09-commands')
  })

  test('is told that the controller is offline, and a command waits for it', async () => {
    await sim.stop()
    await portal.getByText('Offline').first().waitFor()
    await portal.locator('main header').getByText('Offline').waitFor()
    await portal.getByLabel('Command', { exact: true }).fill('switch.set')
    await portal.getByLabel('Parameters (JSON)').fill('{"on":true}')
    await portal.getByRole('button', { name: 'Send' }).click()
    const row = portal.getByRole('listitem').filter({ hasText: 'switch.set' })
    await row.getByText('Queued').waitFor()
    await shot(portal, '10-queued')
    const answer = await device.goto(device.url())
    assert.equal(answer?.status(), 503)
    await shot(device, '11-device-offline')
    // It must have stayed away for a minute before people are told.
    await portal.goto(`${platform.url}/notifications`)
    await portal.getByText('Greenhouse is offline').waitFor({ timeout: 180_000 })
    await shot(portal, '12-notifications')
  })

  test('the command is done once the controller is back, and its page is there again', async () => {
    sim = platform.startSim(SIM)
    await sim.waitFor('registered')
    await portal.goto(`${controller}/commands`)
    await portal.getByRole('listitem').filter({ hasText: 'switch.set' }).getByText('Done').waitFor()
    await device.getByRole('button', { name: 'Turn off' }).waitFor()
    await shot(portal, '13-done')
  })

  test('neither portal nor device page complained in the console', () => {
    // The one page that was asked for while its device was away.
    const expected = /status of 503/
    assert.deepEqual(
      watched.problems.filter((line) => !expected.test(line)),
      [],
    )
  })
})

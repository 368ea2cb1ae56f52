/** A device's page inside the portal, on one host name: the shell around it, sharing, and what it can't do. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import { untilTrue } from '@wmoc/testkit/chromium'
import type { FrameLocator, Page } from 'playwright-core'
import { eventually } from '../../e2e/support/stack.ts'
import type { Person, SimulatedController } from '../../e2e/support/stack.ts'
import { settled, violations } from './support/accessibility.ts'
import { startPageDevice, type PageDevice } from './support/page-device.ts'
import { openPortal, type Portal, type Visit } from './support/portal.ts'

const OWNER = 'owner@wmoc.example'
const FRIEND = 'friend@wmoc.example'
const PHONE = { width: 360, height: 740 }
const DESKTOP = { width: 1280, height: 800 }

let portal: Portal
let device: PageDevice
let owner: Person
let visit: Visit
let id: string
let sim: SimulatedController

const shot = async (page: Page, name: string) => {
  await settled(page)
  await page.screenshot({ path: artefact('screens', `${name}.png`) })
}
const frameOf = (page: Page): FrameLocator => page.frameLocator('iframe')
const shows = (page: Page, text: string) => frameOf(page).locator('#here', { hasText: text }).waitFor()

before(async () => {
  ;[portal, device] = await Promise.all([
    openPortal({ gatewayEnv: { DEVICE_DOMAIN: '' } }),
    startPageDevice(),
  ])
  owner = await portal.stack.signIn(OWNER)
  ;({ id, sim } = await portal.stack.claimSim(owner, {
    state: 'boiler',
    name: 'Boiler room',
    args: ['--upstream', device.url],
  }))
  visit = await portal.visit()
  await visit.signIn(OWNER)
})
after(async () => {
  await visit?.close()
  await sim?.stop()
  await portal?.close()
  await device?.stop()
})

suite('the shell around a device’s page', () => {
  test('opens at the address of the page, and again after a reload', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/setup.html?tab=wifi`)
    await shows(page, 'Set up')
    assert.equal(new URL(page.url()).pathname, `/c/${id}/setup.html`)
    await page.reload()
    await shows(page, 'Set up')
    assert.equal(page.url(), `${portal.stack.url}/c/${id}/setup.html?tab=wifi`)
    await page.getByRole('heading', { name: 'Boiler room' }).waitFor()
    const frame = page.locator('iframe')
    assert.equal(await frame.getAttribute('title'), 'Page of Boiler room')
    assert.equal(
      await frame.getAttribute('sandbox'),
      'allow-scripts allow-forms allow-popups allow-popups-to-escape-sandbox allow-modals allow-downloads',
    )
  })

  test('is where the button of the controller leads', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}`)
    const [opened] = await Promise.all([
      page.context().waitForEvent('page'),
      page.getByRole('link', { name: 'Open its page' }).click(),
    ])
    await shows(opened, 'Boiler')
    await opened.getByRole('link', { name: 'Back to the controller' }).click()
    await opened.waitForURL(`**/controllers/${id}`)
    await opened.close()
  })

  test('follows the page with address and title', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await frameOf(page).getByRole('link', { name: 'Set up' }).click()
    await page.waitForURL(`**/c/${id}/setup.html?tab=wifi`)
    await untilTrue(page, `document.title === 'Set up · Boiler room · WMOC'`)
    await Promise.all([
      page.waitForResponse((response) => response.url().endsWith('/setup.html?tab=wifi')),
      page.getByRole('button', { name: 'Load the page anew' }).click(),
    ])
    await shows(page, 'Set up')
    await frameOf(page).getByRole('button', { name: 'Save' }).click()
    await frameOf(page).locator('output', { hasText: 'status 200' }).waitFor()
  })

  test('brings the page back that went to an address of the portal', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await frameOf(page).getByRole('button', { name: 'Leave' }).click()
    await shows(page, 'Set up')
    await page.waitForURL(`**/c/${id}/setup.html?tab=wifi`)
  })

  test('gives the page back on leaving', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await shows(page, 'Boiler')
    const src = await page.locator('iframe').getAttribute('src')
    const [revoked] = await Promise.all([
      page.waitForResponse((response) => response.url().endsWith('/_wmoc/page/revoke')),
      page.getByRole('link', { name: 'Back to the controller' }).click(),
    ])
    assert.equal(revoked.status(), 204)
    const late = await fetch(`${portal.stack.url}${src}`, {
      headers: { 'sec-fetch-dest': 'iframe', 'sec-fetch-mode': 'cors' },
    })
    assert.ok([401, 404].includes(late.status), String(late.status))
  })

  test('O1, O2: believes a hostile page no address, no title that hides, and no flood', async () => {
    const { page } = visit
    const seen: string[] = []
    page.on('framenavigated', (frame) => {
      if (frame === page.mainFrame()) seen.push(new URL(frame.url()).pathname)
    })
    await visit.go(`/c/${id}/hostile`)
    await shows(page, 'Hostile')
    await untilTrue(page, `document.title.startsWith('WMOC · Sign in · Boiler room')`)
    await shot(page, 'device-page-hostile')
    page.removeAllListeners('framenavigated')
    for (const path of seen) assert.ok(path.startsWith(`/c/${id}`) || path.startsWith('/open/'), path)
    assert.ok(seen.length < 40, `${seen.length} addresses`)
    assert.equal(await page.evaluate(() => localStorage.getItem('a')), null)
    assert.equal(
      await page.evaluate(async () => (await navigator.serviceWorker.getRegistrations()).length),
      0,
    )
  })

  test('shows the log beside the page', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await shows(page, 'Boiler')
    await page.getByRole('button', { name: 'Logs' }).click()
    const drawer = page.getByRole('dialog', { name: 'Logs' })
    await drawer.getByRole('searchbox').or(drawer.getByLabel('Search in messages')).first().waitFor()
    await shot(page, 'device-page-logs')
    assert.deepEqual(await violations(page), [])
    await page.keyboard.press('Escape')
    await drawer.waitFor({ state: 'detached' })
  })

  test('fills the screen and comes back by the keyboard', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await shows(page, 'Boiler')
    await page.getByRole('button', { name: 'Full screen' }).press('Enter')
    await untilTrue(page, 'document.fullscreenElement !== null')
    await page.getByRole('button', { name: 'Leave full screen' }).press('Enter')
    await untilTrue(page, 'document.fullscreenElement === null')
  })

  test('O17: is accessible and fits, on a phone and a desk, light and dark, in both languages', async () => {
    for (const [theme, locale] of [
      ['light', 'ru'],
      ['dark', 'en'],
    ] as const) {
      const look = await portal.visit({ theme, locale })
      await look.signIn(OWNER)
      await look.page.evaluate((value) => localStorage.setItem('wmoc.locale', value), locale)
      await look.go(`/c/${id}/`)
      for (const size of [PHONE, DESKTOP]) {
        await look.page.setViewportSize(size)
        await shows(look.page, 'Boiler')
        await shot(look.page, `device-page-${theme}-${locale}-${size.width}`)
        assert.deepEqual(await violations(look.page), [])
        const overflow = await look.page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        assert.equal(overflow, 0)
      }
      assert.deepEqual(look.problems, [])
      await look.close()
    }
  })

  test('has everything in a menu on a phone', async () => {
    const { page } = visit
    await page.setViewportSize(PHONE)
    await visit.go(`/c/${id}/`)
    await shows(page, 'Boiler')
    await page.getByRole('button', { name: 'More' }).click()
    for (const name of ['Load the page anew', 'Share', 'Logs', 'Full screen'])
      await page.getByRole('menuitem', { name }).waitFor()
    await shot(page, 'device-page-menu')
    await page.keyboard.press('Escape')
    await page.setViewportSize(DESKTOP)
  })
})

suite('sharing', () => {
  let link: string
  let friend: Visit

  before(async () => {
    friend = await portal.visit()
    await friend.signIn(FRIEND)
  })
  after(() => friend?.close())

  test('makes a link for guests, shown once', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await page.getByRole('button', { name: 'Share' }).click()
    const dialog = page.getByRole('dialog', { name: 'Share Boiler room' })
    await dialog.getByLabel('E-mail').fill('not an address')
    await dialog.getByRole('button', { name: 'Share', exact: true }).click()
    await dialog.getByText('Enter an address like').waitFor()
    await dialog.getByLabel('E-mail').fill(FRIEND)
    await dialog.getByRole('button', { name: 'Share', exact: true }).click()
    await dialog.getByRole('listitem').getByText(FRIEND).waitFor()
    await dialog.getByRole('button', { name: 'Make a link' }).click()
    link = await dialog.locator('code').innerText()
    assert.match(link, new RegExp(`^${portal.stack.url}/shared/${id}#[A-Za-z0-9_-]{43}$`))
    await dialog.getByRole('listitem').getByText('Only look').waitFor()
    await shot(page, 'share-dialog')
    assert.deepEqual(await violations(page), [])
    await page.setViewportSize(PHONE)
    await shot(page, 'share-dialog-phone')
    assert.deepEqual(await violations(page), [])
    await page.setViewportSize(DESKTOP)
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    await page.getByRole('button', { name: 'Share' }).click()
    await dialog.getByRole('listitem').getByText('Only look').waitFor()
    assert.equal(await dialog.locator('code').count(), 0)
  })

  test('O9: lets a guest look without an account; the token leaves the address bar, and a reload needs no new one', async () => {
    const guest = await portal.visit()
    const { page } = guest
    await page.goto(link)
    await shows(page, 'Boiler')
    assert.equal(page.url(), `${portal.stack.url}/shared/${id}`)
    await page.getByRole('heading', { name: 'Boiler room' }).waitFor()
    await page.getByText('Only look').waitFor()
    await shot(page, 'guest')
    assert.deepEqual(await violations(page), [])
    await frameOf(page).getByRole('link', { name: 'Set up' }).click()
    await shows(page, 'Set up')
    const posts = () => device.requests.filter((line) => line.startsWith('POST')).length
    const known = posts()
    await frameOf(page).getByRole('button', { name: 'Save' }).click()
    await frameOf(page).locator('output', { hasText: 'status' }).waitFor()
    assert.equal(posts(), known)
    await page.reload()
    await shows(page, 'Boiler')
    await page.setViewportSize(PHONE)
    await shot(page, 'guest-phone')
    assert.deepEqual(await violations(page), [])
    await guest.close()
  })

  test('tells a guest whose address lost its end what to do', async () => {
    const guest = await portal.visit()
    await guest.go(`/shared/${id}`)
    await guest.page.getByText('This link is not whole').waitFor()
    assert.deepEqual(await violations(guest.page), [])
    assert.deepEqual(guest.problems, [])
    await guest.close()
  })

  // Each waits for the next time that a page asks.
  suite('ends', { concurrency: true }, () => {
    test('closes a guest’s page when the link is withdrawn', async () => {
      const guest = await portal.visit()
      await guest.page.goto(link)
      await shows(guest.page, 'Boiler')
      const { page } = visit
      await visit.go(`/controllers/${id}`)
      await page.getByRole('button', { name: 'Share' }).click()
      const dialog = page.getByRole('dialog', { name: 'Share Boiler room' })
      await dialog.getByRole('button', { name: 'Withdraw' }).click()
      const question = page.getByRole('dialog', { name: 'Withdraw this link?' })
      await question.getByRole('button', { name: 'Withdraw' }).click()
      await question.waitFor({ state: 'detached' })
      await guest.page.getByText('This link works no more').waitFor({ timeout: 120_000 })
      await shot(guest.page, 'guest-link-over')
      assert.equal(await guest.page.locator('iframe').count(), 0)
      assert.deepEqual(await violations(guest.page), [])
      await guest.close()
    })

    test('shows a friend the page, as a viewer, until it is ended', async () => {
      await friend.go(`/c/${id}/`)
      await shows(friend.page, 'Boiler')
      await friend.page.getByText('Only look').waitFor()
      assert.equal(await friend.page.getByRole('button', { name: 'Share' }).count(), 0)
      const { items } = await owner.api.sharing.listShares({ params: { id } })
      const share = items.find(({ email }) => email === FRIEND)!
      await owner.api.sharing.unshare({ params: { id, shareId: share.id } })
      await friend.page.getByText('This page is not yours to see').waitFor({ timeout: 120_000 })
      assert.equal(await friend.page.locator('iframe').count(), 0)
      await shot(friend.page, 'device-page-refused')
    })
  })
})

suite('when things go wrong', () => {
  test('a controller of nobody and one of somebody else look the same', async () => {
    const stranger = await portal.visit()
    await stranger.signIn('stranger@wmoc.example')
    for (const other of [id, '01900000-0000-7000-8000-000000000000']) {
      await stranger.go(`/c/${other}/`)
      await stranger.page.getByText('This page is not yours to see').waitFor()
      assert.equal(await stranger.page.locator('iframe').count(), 0)
    }
    await stranger.close()
  })

  test('who is not signed in signs in and is back at the page', async () => {
    const later = await portal.visit()
    await later.go(`/c/${id}/setup.html?tab=wifi`)
    await later.page.waitForURL(/\/sign-in\?next=/)
    const next = new URL(later.page.url()).searchParams.get('next')
    assert.equal(next, `/c/${id}/setup.html?tab=wifi`)
    await later.close()
  })

  test('a session that ends closes the page', async () => {
    const other = await portal.visit()
    await other.signIn(OWNER)
    await other.go(`/c/${id}/`)
    await shows(other.page, 'Boiler')
    const tab = await other.newPage()
    await tab.goto('/')
    await tab.locator('main h1').waitFor()
    await tab.getByText(OWNER).first().click()
    await tab.getByRole('menuitem', { name: 'Sign out' }).click()
    await other.page.waitForURL(/\/sign-in\?next=/)
    assert.equal(await other.page.locator('iframe').count(), 0)
    await other.close()
  })

  test('tells that the device is away and comes alive by itself', async () => {
    const { page } = visit
    await visit.go(`/c/${id}/`)
    await shows(page, 'Boiler')
    await sim.stop()
    await page.getByText('The controller is offline.').waitFor()
    await owner.api.commands.send({ params: { id }, body: { name: 'restart' } })
    await page.getByRole('link', { name: 'One command waits' }).waitFor()
    await shot(page, 'device-page-offline')
    assert.deepEqual(await violations(page), [])
    await page.setViewportSize(PHONE)
    await shot(page, 'device-page-offline-phone')
    await page.setViewportSize(DESKTOP)
    const loads = device.requests.length
    sim = portal.stack.startSim({ state: 'boiler', args: ['--upstream', device.url] })
    await page.getByText('The controller is offline.').waitFor({ state: 'detached', timeout: 120_000 })
    await shows(page, 'Boiler')
    assert.ok(device.requests.length > loads)
  })

  test('the tab of the web page tells how copies are kept, and lets the owner choose', async () => {
    const { page } = visit
    await visit.go(`/controllers/${id}/page`)
    await page.getByRole('radio', { name: 'For each person', checked: true }).waitFor()
    await page.getByRole('radio', { name: 'Off' }).click()
    await page.getByRole('radio', { name: 'Off', checked: true }).waitFor()
    await eventually(
      async () => (await owner.api.controllers.get({ params: { id } })).pageCache === 'off',
      'the choice stored',
    )
    await page.getByText('None is remembered').waitFor()
    for (const size of [DESKTOP, PHONE]) {
      await page.setViewportSize(size)
      await settled(page)
      await page.screenshot({ path: artefact('screens', `web-page-tab-${size.width}.png`), fullPage: true })
      assert.deepEqual(await violations(page), [])
    }
    await page.setViewportSize(DESKTOP)
  })
})

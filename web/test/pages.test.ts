/** Every route of the portal in two themes, two languages and two widths. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import type { Page } from 'playwright-core'
import type { SimulatedController } from '../../e2e/support/stack.ts'
import { settled, violations } from './support/accessibility.ts'
import { openPortal, type Look, type Portal } from './support/portal.ts'

const OWNER = 'pages@wmoc.example'
const WIDTHS = [
  { width: 360, height: 740 },
  { width: 1280, height: 800 },
] as const
const LOOKS: readonly Look[] = [
  { theme: 'light', locale: 'en' },
  { theme: 'light', locale: 'ru' },
  { theme: 'dark', locale: 'en' },
  { theme: 'dark', locale: 'ru' },
]

interface Route {
  readonly name: string
  readonly path: string
  /** What is there once the page has what it shows. */
  readonly ready: string
}

let portal: Portal
let sim: SimulatedController
let signedIn: readonly Route[]

const GUEST: readonly Route[] = [
  { name: 'sign-in', path: '/sign-in', ready: 'input[type=email]' },
  { name: 'register', path: '/register', ready: 'input[type=email]' },
  { name: 'forgot-password', path: '/forgot-password', ready: 'input[type=email]' },
  { name: 'reset-password', path: '/reset-password#token=aaaaaaaaaaaaaaaaaaaaaaaa', ready: 'input' },
  { name: 'verify-email', path: '/verify-email', ready: 'main h1' },
  { name: 'dev-mail', path: '/dev/mail', ready: 'main ul, main p' },
  { name: 'not-found', path: '/no/such/page', ready: 'main p' },
]

before(async () => {
  portal = await openPortal()
  const owner = await portal.stack.signIn(OWNER)
  const claimed = await portal.stack.claimSim(owner, { state: 'boiler', name: 'Boiler room' })
  sim = claimed.sim
  const { id } = claimed
  await owner.api.controllers.update({
    params: { id },
    body: { tags: ['heating', 'cellar'], metadata: { floor: 'cellar' } },
  })
  await owner.api.commands.send({ params: { id }, body: { name: 'restart' } })
  await owner.api.controllers.activate({ body: { name: 'Greenhouse' } })
  const at = `/controllers/${id}`
  signedIn = [
    { name: 'overview', path: '/', ready: 'main ul' },
    { name: 'controllers', path: '/controllers', ready: 'main li' },
    { name: 'activate', path: '/activate', ready: 'main form' },
    { name: 'controller', path: at, ready: 'main dl' },
    { name: 'controller-page', path: `${at}/page`, ready: 'main code' },
    { name: 'controller-metrics', path: `${at}/metrics`, ready: 'main canvas' },
    { name: 'controller-logs', path: `${at}/logs`, ready: '[role=log] p' },
    { name: 'controller-commands', path: `${at}/commands`, ready: 'main li' },
    { name: 'controller-settings', path: `${at}/settings`, ready: 'main form' },
    { name: 'notifications', path: '/notifications', ready: 'main form' },
    { name: 'account', path: '/account', ready: 'main li' },
  ]
})

after(async () => {
  await sim?.stop()
  await portal?.close()
})

suite('O17: every page is accessible, quiet and fits', { concurrency: 4 }, () => {
  for (const look of LOOKS) {
    test(`signed out, ${look.theme}, ${look.locale}`, async () => {
      const visit = await portal.visit(look)
      const findings = []
      for (const route of GUEST) findings.push(...(await inspect(visit.page, route, look)))
      assert.deepEqual([...findings, ...visit.problems], [])
      await visit.close()
    })

    test(`signed in, ${look.theme}, ${look.locale}`, async () => {
      const visit = await portal.visit(look)
      await visit.signIn(OWNER)
      await visit.page.evaluate((locale) => localStorage.setItem('wmoc.locale', locale), look.locale)
      const findings = []
      for (const route of signedIn) findings.push(...(await inspect(visit.page, route, look)))
      assert.deepEqual([...findings, ...visit.problems], [])
      await visit.close()
    })
  }
})

/** What is wrong with a route in both widths, one line a finding; takes its pictures on the way. */
async function inspect(page: Page, route: Route, look: Look): Promise<string[]> {
  const findings: string[] = []
  await page.setViewportSize(WIDTHS[1])
  await page.goto(route.path)
  for (const size of WIDTHS) {
    await page.setViewportSize(size)
    await page.locator(route.ready).first().waitFor()
    await settled(page)
    const where = `${route.name}, ${size.width} px: `
    const file = `${route.name}-${look.theme}-${look.locale}-${size.width}.png`
    await page.screenshot({ path: artefact('screens', file), fullPage: true })
    const { lang, isDark, overflow } = await page.evaluate(() => ({
      lang: document.documentElement.lang,
      isDark: document.documentElement.classList.contains('dark'),
      overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    }))
    if (lang !== look.locale) findings.push(`${where}is in ${lang}`)
    if (isDark !== (look.theme === 'dark')) findings.push(`${where}has the wrong theme`)
    if (overflow > 0) findings.push(`${where}is ${overflow} px too wide`)
    findings.push(...(await violations(page)).map((text) => where + text))
  }
  return findings
}

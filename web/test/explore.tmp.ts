import { openBrowser } from '@wmoc/testkit/chromium'
import { existsSync, readFileSync } from 'node:fs'
const base = 'http://localhost:8181'
const log = readFileSync('/tmp/web-start.log', 'utf8')
const link = /Sign in\s+(\S+)/.exec(log)![1]!
const code = /code ([A-Z]{4}-[A-Z]{4})/.exec(log)?.[1]
const b = await openBrowser()
const c = await b.newContext({ ...(existsSync('/tmp/web-auth.json') ? { storageState: '/tmp/web-auth.json' } : {}) })
const page = await c.newPage()
const shot = (n: string) => page.screenshot({ path: `/tmp/shots/${n}.png` })
const step = async (n: string, f: () => Promise<unknown>) => { try { await f() } catch (e) { console.log('FAIL', n, String(e).slice(0, 400)) } await shot(n) }
await step('00-signin', async () => { await page.goto(base + '/'); await page.waitForTimeout(1500) })
if (page.url().includes('sign-in')) await step('01-link', async () => { await page.goto('about:blank'); await page.goto(link); await page.waitForTimeout(2500) })
console.log(page.url())
await step('02-list', async () => { await page.goto(base + '/controllers'); await page.waitForTimeout(2000) })
if (code) {
  await step('03-activate', async () => { await page.goto(base + '/activate'); await page.waitForTimeout(1500) })
  await step('04-claim', async () => { await page.goto(base + '/activate#' + code); await page.waitForTimeout(2000) })
  await step('05-claimed', async () => { await page.getByRole('button', { name: /Yes, add it/ }).click(); await page.waitForTimeout(4000) })
}
const href = await (async () => { await page.goto(base + '/controllers'); await page.waitForTimeout(1500); return page.locator('a[href^="/controllers/"]').first().getAttribute('href') })().catch(() => null)
console.log('controller', href)
for (const tab of ['', '/page', '/metrics', '/logs', '/commands', '/settings']) await step('1' + (tab || '/overview').slice(1), async () => { await page.goto(base + href + tab); await page.waitForTimeout(2500) })
for (const p of ['notifications', 'account', 'dev/mail', 'nope/x']) await step('2' + p.replace('/', '-'), async () => { await page.goto(base + '/' + p); await page.waitForTimeout(1500) })
await step('30-palette', async () => { await page.goto(base + '/'); await page.waitForTimeout(1000); await page.keyboard.press('Control+k'); await page.waitForTimeout(1000) })
await c.context.storageState({ path: '/tmp/web-auth.json' })
console.log(c.problems.join('\n'))
await b.close()

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser } from '@wmoc/testkit/chromium'
import { startHarness, until as untilWithin } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { openFrame, served } from './testing/frames.ts'
import { showInShell } from './testing/shell.ts'
import { PASSWORD, serveBasic, USER } from './testing/protected-device.ts'

const PAGE =
  '<!doctype html><title>Boiler</title><link rel=stylesheet href=a.css><h1>21.5</h1>' +
  '<form method=post action=save><button>Save</button></form><script>document.body.dataset.ran = "yes"</script>'

/** However slow the machine is. */
const until = (holds: () => boolean | Promise<boolean>) => untilWithin(holds, 120_000)

suite('pages of ours in the shell’s frame, in a browser', () => {
  let harness: Harness
  let browser: TestBrowser
  before(async () => {
    harness = await startHarness({ DEVICE_DOMAIN: '' })
    const rule = `MAP localhost:8080 127.0.0.1:${harness.port}`
    browser = await openBrowser({ flags: [`--host-resolver-rules=${rule}`] })
  })
  after(async () => {
    await browser.close()
    await harness.stop()
  })

  /** The frame as the portal's shell shows it. */
  async function show(id: string, src: string) {
    const context = await browser.newContext()
    const shell = await context.newPage()
    const violations: string[] = []
    shell.on('console', (message) => {
      if (message.type() === 'error') violations.push(message.text())
    })
    const frame = await showInShell(shell, id, src)
    return { shell, frame, violations, close: () => context.close() }
  }

  test('the form signs in to the device: it posts, and the page that asked for it opens', async () => {
    const { device, id, person } = await served(harness)
    serveBasic(device)
    const { src } = await openFrame(harness, id, person)
    const { frame, close } = await show(id, src)
    await frame.fill('input[name=username]', USER)
    await frame.fill('input[name=password]', 'wrong')
    await frame.click('button')
    await frame.waitForSelector('[role=alert]')
    await frame.fill('input[name=username]', USER)
    await frame.fill('input[name=password]', PASSWORD)
    await frame.check('input[name=remember]')
    await frame.click('button')
    // By a locator: our own page lets nothing be evaluated in it, and it is there until the other comes.
    await frame.getByText('GET /', { exact: true }).waitFor()
    await until(() => harness.controlPlane.credentials.has(`${person.userId} ${id}`))
    await close()
  })

  test('a page that stands still runs no script and sends no form; one of ours opens the real one when the device is back', async () => {
    const { known, device, id, person } = await served(harness)
    const serve = (at: typeof device) =>
      at.serve(({ path }) =>
        path === '/a.css'
          ? { headers: { 'Content-Type': 'text/css' }, body: 'h1 { color: rgb(1, 2, 3) }' }
          : { headers: { 'Content-Type': 'text/html' }, body: PAGE },
      )
    serve(device)
    const { src } = await openFrame(harness, id, person)
    const { frame, shell, close } = await show(id, src)
    await frame.waitForFunction('document.body?.dataset.ran === "yes"')
    device.stop()
    await device.closed
    await until(async () => {
      await shell.reload()
      const reloaded = (await (await shell.waitForSelector('iframe')).contentFrame())!
      await reloaded.waitForLoadState()
      return (await reloaded.$('div[role=status]')) !== null
    })
    const still = (await (await shell.waitForSelector('iframe')).contentFrame())!
    assert.equal(await still.textContent('h1'), '21.5')
    assert.equal(await still.evaluate('document.body.dataset.ran'), undefined)
    assert.equal(await still.evaluate('getComputedStyle(document.querySelector("h1")).color'), 'rgb(1, 2, 3)')
    await still.click('button')
    assert.equal(await still.textContent('h1'), '21.5')

    await shell.evaluate(`document.querySelector('iframe').src = ${JSON.stringify(`${src}never-seen`)}`)
    const waiting = (await (await shell.waitForSelector('iframe')).contentFrame())!
    await waiting.waitForSelector('p[role=status]')
    serve(await harness.online(known, { max_req_header: 2_048 }))
    await waiting.waitForSelector('body[data-ran=yes]')
    await close()
  })
})

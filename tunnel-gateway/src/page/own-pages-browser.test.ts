import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { untilTrue } from '@wmoc/testkit/chromium'
import { until } from '#src/testing/harness.ts'
import { openBrowserStage } from './testing/browser.ts'
import type { BrowserStage } from './testing/browser.ts'
import { served } from './testing/frames.ts'
import { PASSWORD, serveBasic, USER } from './testing/protected-device.ts'

const PAGE =
  '<!doctype html><title>Boiler</title><link rel=stylesheet href=a.css><h1>21.5</h1>' +
  '<form method=post action=save><button>Save</button></form><script>document.body.dataset.ran = "yes"</script>'

suite('pages of ours in the shell’s frame, in a browser', () => {
  let stage: BrowserStage
  before(async () => {
    stage = await openBrowserStage()
  })
  after(() => stage?.stop())

  test('the form signs in to the device: it posts, and the page that asked for it opens', async () => {
    const { harness } = stage
    const { device, id, person } = await served(harness)
    serveBasic(device)
    const { frame, close } = await stage.show(id, person)
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
    const { harness } = stage
    const { known, device, id, person } = await served(harness)
    const serve = (at: typeof device) =>
      at.serve(({ path }) =>
        path === '/a.css'
          ? { headers: { 'Content-Type': 'text/css' }, body: 'h1 { color: rgb(1, 2, 3) }' }
          : { headers: { 'Content-Type': 'text/html' }, body: PAGE },
      )
    serve(device)
    const { shell, src, close } = await stage.show(id, person)
    const page = shell.frameLocator('iframe')
    await page.locator('body[data-ran=yes]').waitFor()
    device.stop()
    await device.closed
    await until(async () => {
      await shell.reload()
      await page.locator('h1, [role=status]').first().waitFor()
      return (await page.locator('div[role=status]').count()) > 0
    })
    const still = shell.frames()[1]!
    assert.equal(await still.textContent('h1'), '21.5')
    assert.equal(await still.evaluate('document.body.dataset.ran'), undefined)
    await untilTrue(still, 'getComputedStyle(document.querySelector("h1")).color === "rgb(1, 2, 3)"')
    await still.click('button')
    assert.equal(await still.textContent('h1'), '21.5')

    await shell.evaluate(`document.querySelector('iframe').src = ${JSON.stringify(`${src}never-seen`)}`)
    await page.locator('p[role=status]').waitFor()
    serve(await harness.online(known, { max_req_header: 2_048 }))
    await page.locator('body[data-ran=yes]').waitFor()
    await close()
  })
})

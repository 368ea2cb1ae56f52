/** A controller with hostile pages, opened by its own owner in a real browser. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { Cookie, Frame, Page } from 'playwright-core'
import { overviewShown } from './support/browser.ts'
import type { OwnDevice } from './support/device.ts'
import { OVERREACHING } from './support/hostile-device.ts'
import { answersTo, attackIn, forged, framed, openHostileStage } from './support/hostile-stage.ts'
import type { HostileStage } from './support/hostile-stage.ts'
import { eventually } from './support/stack.ts'

const valueOf = ({ name, value }: Cookie) => `${name}=${value}`

suite('a hostile device of its own owner', () => {
  let stage: HostileStage
  /** The tab that shows the hostile page on its own origin. */
  let page: Page
  let pageOrigin: string
  let neighbourOrigin: string

  before(async () => {
    stage = await openHostileStage()
    page = await stage.watched.newPage()
    // The browser has the cookies of both devices.
    neighbourOrigin = await openDevice(page, stage.neighbour)
    pageOrigin = await openDevice(page, stage.hostile)
  })
  after(() => stage?.stop())

  /** Opens its page through the portal's address; answers the origin it ends on. */
  async function openDevice(tab: Page, device: OwnDevice, path = '/'): Promise<string> {
    await tab.goto(`${stage.platform.url}/c/${device.id}${path}`)
    return new URL(tab.url()).origin
  }

  const attack = (code: string) => attackIn(page, code)

  async function changingNothing(act: () => Promise<void>): Promise<void> {
    const print = () => stage.database.fingerprint({ withoutColumns: ['last_seen_at', 'last_used_at'] })
    const known = await print()
    await act()
    assert.deepEqual(await print(), known)
  }

  test("O1: is shown on its own origin and can't read the portal's API, whose cookie never goes along", async () => {
    assert.notEqual(pageOrigin, stage.platform.url)
    assert.match(new URL(pageOrigin).hostname, /^[a-z0-9-]+\.localhost$/)
    const api = `${stage.platform.url}/api/auth/me`
    const answers = await answersTo(page, async () => {
      assert.equal(
        await attack(`return (await fetch('${api}', { credentials: 'include' })).text()`),
        'TypeError',
      )
      assert.match(
        await attack(
          `const answer = await fetch('${api}', { credentials: 'include', mode: 'no-cors' }); return answer.type + (await answer.text())`,
        ),
        /^(opaque|TypeError)$/,
      )
      assert.equal(
        await attack(
          `return (await fetch('${stage.platform.url}/api/auth/refresh', { method: 'POST', credentials: 'include' })).text()`,
        ),
        'TypeError',
      )
    })
    for (const answer of answers) {
      const { cookie = '' } = await answer.request().allHeaders()
      assert.ok(!cookie.includes('wmoc_refresh'), `${answer.url()} went with ${cookie}`)
      assert.ok(answer.status() >= 400, `${answer.url()} ${answer.status()}`)
    }
    await stage.isSignedIn()
  })

  test('O1: its HTML on the portal’s host is for programs, and would run without an origin', async () => {
    const answer = await stage.owner.fetch(`/c/${stage.hostile.id}/`)
    assert.match(answer.headers.get('content-security-policy')!, /(^|, )sandbox$/)
    const fetched = `fetch('/c/${stage.hostile.id}/').then((answer) => answer.status)`
    assert.equal(await stage.portal.evaluate(fetched), 401)
  })

  test("O2: can't frame the portal, its API's reference, or another device", async () => {
    for (const target of [
      stage.platform.url,
      `${stage.platform.url}/account`,
      `${stage.platform.url}/api/docs`,
      neighbourOrigin,
    ]) {
      const seen = await attack(framed(target))
      assert.equal(seen, 'SecurityError', target)
      // Refused, or the tiny page that only says which address was asked for.
      const isEmpty = async (frame: Frame) =>
        frame.url().startsWith('chrome-error:') ||
        (await frame.evaluate<string>('document.title + document.body.textContent')) === ''
      const frames = () => page.frames().filter((frame) => frame !== page.mainFrame())
      await eventually(
        async () => (await Promise.all(frames().map(isEmpty))).every(Boolean),
        `nothing of ${target} in a frame`,
      )
      await attack(`document.querySelector('iframe').remove()`)
    }
    assert.deepEqual(stage.reachedNeighbour(), ['GET /'])
  })

  test('O3: a service worker of it controls its own origin at most, never the portal', async () => {
    const register = (script: string) =>
      `const got = await navigator.serviceWorker.register('${script}', { scope: '/' }); return got.scope`
    assert.equal(await attack(register(`${stage.platform.url}/sw.js`)), 'SecurityError')
    assert.equal(await attack(register('/sw.js')), `${pageOrigin}/`)
    const onPortal = await stage.portal.evaluate(
      `navigator.serviceWorker.register('/c/${stage.hostile.id}/sw.js', { scope: '/c/${stage.hostile.id}/' }).then(String, (error) => error.name)`,
    )
    assert.ok(['TypeError', 'SecurityError'].includes(onPortal as string), String(onPortal))
    await stage.isSignedIn()
    assert.equal(await stage.portal.evaluate(`navigator.serviceWorker.controller`), null)
    assert.equal(
      await stage.portal.evaluate(`navigator.serviceWorker.getRegistrations().then((all) => all.length)`),
      0,
    )
    await attack(`for (const one of await navigator.serviceWorker.getRegistrations()) await one.unregister()`)
    await page.goto(`${pageOrigin}/`)
  })

  test('O4: neither reads nor commands another device of the same person', async () => {
    const reached = stage.reachedNeighbour()
    const targets = [`${neighbourOrigin}/open`, `${stage.platform.url}/c/${stage.neighbour.id}/open`]
    for (const target of targets) {
      const answers = await answersTo(page, async () => {
        for (const method of ['GET', 'POST'])
          assert.equal(
            await attack(
              `return (await fetch('${target}', { method: '${method}', credentials: 'include' })).text()`,
            ),
            'TypeError',
          )
        await attack(
          `await fetch('${target}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'open=1' })`,
        )
        await attack(
          `await new Promise((resolve) => { const image = new Image(); image.onload = image.onerror = resolve; image.src = '${target}' })`,
        )
        await attack(`
          document.body.innerHTML = '<iframe name="f"></iframe><form method="post" target="f" action="${target}"><input name="open"></form>'
          const done = new Promise((resolve) => document.querySelector('iframe').onload = resolve)
          document.querySelector('form').submit()
          await Promise.race([done, new Promise((resolve) => setTimeout(resolve, 1500))])`)
      })
      for (const answer of answers)
        assert.ok([401, 403].includes(answer.status()), `${answer.status()} ${target}`)
      await page.goto(`${pageOrigin}/`)
      // A form of the whole tab is a navigation of the person's, and still comes without the neighbour's cookie.
      await attack(`
        document.body.innerHTML = '<form method="post" action="${target}"><input name="open"></form>'
        document.querySelector('form').submit()`)
      await page.waitForURL((url) => url.origin !== pageOrigin)
      await page.goto(`${pageOrigin}/`)
    }
    assert.deepEqual(stage.reachedNeighbour(), reached)
  })

  test('O5: no form and no request of it changes anything by the portal’s API', async () => {
    // It writes rows when their time has come, which are nobody's doing here.
    await stage.platform.stack.kill('worker')
    const paths = [
      '/api/auth/logout',
      '/api/auth/refresh',
      '/api/auth/sessions/revoke-others',
      '/api/controllers/activate',
      `/api/controllers/${stage.neighbour.id}/commands`,
    ]
    await changingNothing(async () => {
      for (const path of paths) {
        const url = `${stage.platform.url}${path}`
        const answers = await answersTo(page, async () => {
          for (const code of forged(url)) await attack(code)
          await page.waitForURL((at) => at.origin === stage.platform.url)
        })
        const refused = answers.filter(
          (answer) => answer.url() === url && answer.request().method() !== 'OPTIONS',
        )
        assert.ok(refused.length >= 1, path)
        for (const answer of refused) assert.equal(answer.status(), 403, path)
        await page.goto(`${pageOrigin}/`)
      }
    })
    await stage.platform.stack.restart('worker')
    assert.deepEqual(stage.neighbour.commands, [])
    await stage.isSignedIn()
  })

  test('O6, O7: no cookie of it reaches the portal or replaces one of ours', async () => {
    const ours = await stage.portalCookies(valueOf)
    assert.ok(ours.some((cookie) => cookie.startsWith('__Host-wmoc_refresh=')))
    const pageCookie = async () =>
      (await stage.watched.context.cookies(pageOrigin)).find(({ name }) => name === '__Host-wmoc_page')?.value
    const signed = await pageCookie()
    assert.ok(signed)
    assert.equal((await page.goto(`${pageOrigin}/cookies`))?.status(), 200)
    await attack(`
      for (const domain of ['localhost', '.localhost', location.hostname]) {
        for (const name of ['__Host-wmoc_refresh', 'wmoc_refresh', 'session']) {
          document.cookie = name + '=evil; path=/; domain=' + domain
          document.cookie = name + '=evil; path=/api; domain=' + domain + '; secure'
        }
      }
      document.cookie = '__Host-wmoc_page=evil; path=/; secure'`)
    assert.deepEqual(await stage.portalCookies(valueOf), ours)
    assert.equal(await pageCookie(), signed, 'HttpOnly cookies of ours are not for scripts')
    const set = (await stage.watched.context.cookies(pageOrigin)).filter(({ name }) =>
      /^(c\d+|wide)$/.test(name),
    )
    assert.equal(set.length, 20)
    assert.ok(set.every(({ domain, secure }) => domain === new URL(pageOrigin).hostname && secure))
    assert.equal((await page.goto(`${pageOrigin}/`))?.status(), 200)
    await stage.isSignedIn()
  })

  test('O8: no cookie of ours and no token reaches it', async () => {
    await stage.owner.fetch(`/c/${stage.hostile.id}/as-program`)
    const paths = stage.hostile.requests.map((request) => request.path)
    assert.ok(paths.includes('/') && paths.includes('/as-program'))
    for (const { path, headers } of stage.hostile.requests) {
      const all = JSON.stringify(headers).toLowerCase()
      assert.ok(!/wmoc_|"authorization"|bearer/.test(all), `${path} ${all}`)
      assert.ok(!all.includes(stage.owner.accessToken.toLowerCase()))
    }
  })

  test('O9: neither the way to it nor the way from it tells an address', async () => {
    await openDevice(page, stage.hostile, '/?from=portal')
    assert.equal(await attack('return document.referrer'), '')
    assert.equal(await attack('return location.href'), `${pageOrigin}/?from=portal`)
    await attack(`await fetch('/script')`)
    for (const { path, headers } of stage.hostile.requests) {
      assert.ok(!path.includes('code='), path)
      const referer = Object.entries(headers).find(([name]) => name.toLowerCase() === 'referer')?.[1] ?? ''
      assert.ok(referer === '' || String(referer).startsWith(pageOrigin), `${path} ${String(referer)}`)
      assert.ok(!String(referer).includes('code='))
    }
    await attack(`await fetch('${stage.elsewhere.url}', { mode: 'no-cors' })`)
    assert.ok(stage.elsewhere.requests.length > 0)
    for (const headers of stage.elsewhere.requests) assert.equal(headers.referer, undefined)
  })

  test('O10: headers that speak for more than its page are gone, and have done nothing', async () => {
    const ours = await stage.portalCookies(valueOf)
    const answer = await page.goto(`${pageOrigin}/overreaching`)
    assert.equal(answer?.status(), 200)
    const shown = await answer.allHeaders()
    const asProgram = await stage.owner.fetch(`/c/${stage.hostile.id}/overreaching`)
    for (const name of Object.keys(OVERREACHING)) {
      assert.equal(shown[name.toLowerCase()], undefined, name)
      assert.equal(asProgram.headers.get(name), null, name)
    }
    assert.match(shown['content-security-policy']!, /frame-ancestors 'self'/)
    assert.equal((await page.goto(`${pageOrigin}/`))?.status(), 200, 'its own session was not cleared')
    assert.deepEqual(await stage.portalCookies(valueOf), ours)
    await stage.isSignedIn()
  })

  test('O14: what it sends without a type is never shown, and nothing is sniffed', async () => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.goto(`${pageOrigin}/untyped`).catch(() => null),
    ])
    await download.cancel()
    for (const path of ['/untyped', '/']) {
      const answer = await stage.owner.fetch(`/c/${stage.hostile.id}${path}`)
      assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
    }
    const untyped = await stage.owner.fetch(`/c/${stage.hostile.id}/untyped`)
    assert.equal(untyped.headers.get('content-type'), 'application/octet-stream')
    await page.goto(`${pageOrigin}/`)
  })

  test('O15: what it calls public stays in its owner’s browser', async () => {
    const asProgram = await stage.owner.fetch(`/c/${stage.hostile.id}/public.css`)
    const shown = await page.goto(`${pageOrigin}/public.css`)
    for (const value of [asProgram.headers.get('cache-control'), await shown?.headerValue('cache-control')])
      assert.equal(value, 'private, max-age=60')
    await page.goto(`${pageOrigin}/`)
  })

  test('O16: holds no window of the portal, and the portal’s link gives it none', async () => {
    const opened = stage.watched.context.waitForEvent('page')
    await attack(`window.held = window.open('${stage.platform.url}/')`)
    const popup = await opened
    await overviewShown(popup)
    assert.equal(await popup.evaluate('opener'), null)
    assert.equal(await attack('return held.closed'), 'true')
    await attack(`held.location = '${stage.elsewhere.url}'`)
    assert.equal(new URL(popup.url()).origin, stage.platform.url)
    await popup.close()

    await stage.portal.goto(`${stage.platform.url}/controllers/${stage.hostile.id}`)
    const [device] = await Promise.all([
      stage.portal.waitForEvent('popup'),
      stage.portal
        .getByRole('link', { name: /Open its page/ })
        .first()
        .click(),
    ])
    await device.getByRole('heading', { name: 'Hostile' }).waitFor()
    assert.equal(await device.evaluate('opener'), null)
    await device.close()
  })
})

/** A controller with hostile pages on an installation with one host name, shown to its own owner in the portal's frame. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { artefact } from '@wmoc/testkit/artefacts'
import type { Cookie, Frame, Page } from 'playwright-core'
import { deviceFrame, ONE_HOST } from './support/browser.ts'
import { OVERREACHING } from './support/hostile-device.ts'
import { answersTo, attackIn, forged, framed, openHostileStage, outcomeOf } from './support/hostile-stage.ts'
import type { HostileStage } from './support/hostile-stage.ts'
import { eventually } from './support/stack.ts'

/** What each start of the portal changes of its own session. */
const ROTATED = ['refresh_hash', 'previous_hash', 'generation', 'rotated_at']
const nameOf = ({ name, domain, path }: Cookie) => `${name} ${domain}${path}`

suite('a hostile device in the portal’s frame', () => {
  let stage: HostileStage
  /** The tab that has the hostile page in its frame. */
  let shell: Page
  let frame: Frame

  before(async () => {
    stage = await openHostileStage(ONE_HOST)
    shell = await stage.watched.newPage()
    await open('/')
  })
  after(() => stage?.stop())

  /** Opens the hostile page anew. */
  async function open(path: string): Promise<void> {
    await shell.goto(`${stage.platform.url}/c/${stage.hostile.id}${path}`)
    frame = await deviceFrame(shell)
  }

  /** Where the page lies: the way to it is in its address. */
  const prefix = () => new URL(frame.url()).pathname.split('/').slice(0, 3).join('/')

  const attack = (code: string) => attackIn(frame, code)

  /**
   * The same in a document that never came through the platform: a frame of the page's own making, which has all of the
   * page's rights and none of the platform's script in it.
   */
  const bare = (code: string): Promise<string> => {
    const script = `${outcomeOf(code)}.then((said) => parent.postMessage({ bare: said }, '*'))`
    const address = `data:text/html;base64,${Buffer.from(`<body><script>${script}</script>`).toString('base64')}`
    return attack(`
      const said = new Promise((resolve) => addEventListener('message', ({ data }) => data && 'bare' in data && resolve(data.bare)))
      const own = document.createElement('iframe')
      own.src = '${address}'
      document.body.append(own)
      try { return await said } finally { own.remove() }`)
  }

  const shot = (name: string) =>
    shell.screenshot({ path: artefact('screens', 'hostile-frame', `${name}.png`) })

  test("O1: has no origin: reads neither the portal's API nor anything the portal keeps in the browser", async () => {
    assert.equal(await attack('return origin'), 'null')
    for (const path of ['/api/auth/me', '/api/controllers', `/c/${stage.neighbour.id}/`]) {
      const url = `${stage.platform.url}${path}`
      const answers = await answersTo(shell, async () => {
        for (const credentials of ['include', 'same-origin'])
          assert.equal(
            await bare(`return (await fetch('${url}', { credentials: '${credentials}' })).text()`),
            'TypeError',
            url,
          )
        assert.match(
          await bare(
            `const answer = await fetch('${url}', { credentials: 'include', mode: 'no-cors' }); return answer.type + (await answer.text())`,
          ),
          /^(opaque|TypeError)$/,
        )
      })
      for (const answer of answers) assert.ok(answer.status() >= 400, `${answer.url()} ${answer.status()}`)
    }
    assert.equal(await attack('return parent.document.title'), 'SecurityError')
    assert.equal(await attack('return top.location.href'), 'SecurityError')
    assert.equal(await attack('return parent.localStorage.length'), 'SecurityError')
    assert.equal(await attack(`return (await indexedDB.databases()).length`), 'SecurityError')
    assert.doesNotMatch(await attack('return document.cookie'), /wmoc/)
    await shot('o1')
    await stage.isSignedIn()
  })

  test('O2: can’t frame the portal, its API’s reference, or another device', async () => {
    const reached = stage.reachedNeighbour()
    for (const target of ['/', '/account', '/api/docs', `/c/${stage.neighbour.id}/`]) {
      const seen = await attack(framed(`${stage.platform.url}${target}`))
      assert.equal(seen, 'SecurityError', target)
      await attack(`document.querySelector('iframe').remove()`)
    }
    assert.deepEqual(stage.reachedNeighbour(), reached)
    await open('/')
  })

  test('O3: registers no service worker anywhere', async () => {
    for (const script of ['/sw.js', `${stage.platform.url}/sw.js`])
      assert.match(
        await attack(`const got = await navigator.serviceWorker.register('${script}'); return got.scope`),
        /^(TypeError|SecurityError|NotSupportedError)$/,
      )
    const onPortal = await stage.portal.evaluate(
      `navigator.serviceWorker.register('${prefix()}/sw.js', { scope: '${prefix()}/' }).then(String, (error) => error.name)`,
    )
    assert.ok(['TypeError', 'SecurityError'].includes(onPortal as string), String(onPortal))
    assert.equal(
      await stage.portal.evaluate(`navigator.serviceWorker.getRegistrations().then((all) => all.length)`),
      0,
    )
  })

  test('O4: neither reads nor commands another device of the same person', async () => {
    const reached = stage.reachedNeighbour()
    const targets = [
      `${stage.platform.url}/c/${stage.neighbour.id}/open`,
      `${stage.platform.url}${prefix().replace(stage.hostile.id, stage.neighbour.id)}/open`,
    ]
    for (const target of targets) {
      for (const method of ['GET', 'POST'])
        assert.match(
          await attack(
            `const answer = await fetch('${target}', { method: '${method}', credentials: 'include' }); return answer.status`,
          ),
          /^(TypeError|40[134])$/,
        )
      await attack(
        `await fetch('${target}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: 'open=1' })`,
      )
      await attack(
        `await new Promise((resolve) => { const image = new Image(); image.onload = image.onerror = resolve; image.src = '${target}' })`,
      )
      await attack(`
        document.body.innerHTML = '<form method="post" action="${target}"><input name="open"></form>'
        document.querySelector('form').submit()
        await new Promise((resolve) => setTimeout(resolve, 1000))`).catch(() => 'navigated')
      await open('/')
    }
    assert.deepEqual(stage.reachedNeighbour(), reached)
  })

  test('O5: no form and no request of it changes anything by the portal’s API', async () => {
    await stage.platform.stack.kill('worker')
    const print = async () => {
      const withoutColumns = ['last_seen_at', 'last_used_at', 'expires_at', ...ROTATED]
      const found = await stage.database.fingerprint({ withoutColumns })
      // The shell's own doing: it is opened anew again and again.
      delete found['retired_refresh_tokens']
      return found
    }
    const known = await print()
    for (const path of [
      '/api/auth/logout',
      '/api/auth/refresh',
      '/api/auth/sessions/revoke-others',
      `/api/controllers/${stage.neighbour.id}/commands`,
    ]) {
      const url = `${stage.platform.url}${path}`
      const answers = await answersTo(shell, async () => {
        for (const code of forged(url)) await attack(code).catch(() => 'navigated')
        await shell.waitForTimeout(1_000)
      })
      for (const answer of answers.filter((one) => one.url() === url && one.request().method() !== 'OPTIONS'))
        assert.equal(answer.status(), 403, path)
      await open('/')
    }
    assert.deepEqual(await print(), known)
    await stage.platform.stack.restart('worker')
    assert.deepEqual(stage.neighbour.commands, [])
    await stage.isSignedIn()
  })

  test('O6, O7: no cookie of it ever reaches the browser', async () => {
    const ours = await stage.portalCookies(nameOf)
    assert.ok(ours.some((cookie) => cookie.startsWith('__Host-wmoc_refresh ')))
    await open('/cookies')
    await attack(`
      for (const domain of ['localhost', '.localhost', location.hostname])
        for (const name of ['__Host-wmoc_refresh', 'wmoc_refresh', 'session']) {
          document.cookie = name + '=evil; path=/; domain=' + domain
          document.cookie = name + '=evil; path=/api; domain=' + domain + '; secure'
        }
      for (let count = 0; count < 400; count += 1) document.cookie = 'tossed' + count + '=1; path=/'`)
    assert.deepEqual(await stage.portalCookies(nameOf), ours)
    await open('/')
    // Its own come back to it, from the jar, and no more than a browser would be asked to keep.
    await attack(`await fetch('/with-cookies')`)
    const last = stage.hostile.requests.findLast(({ path }) => path === '/with-cookies')
    const cookies = String(last?.headers['cookie'] ?? '').split('; ')
    assert.ok(cookies.length <= 20, String(cookies.length))
    assert.ok(
      cookies.every((cookie) => !/^(__Host-|wmoc_)/.test(cookie)),
      cookies.join('; '),
    )
    await stage.isSignedIn()
  })

  test('O8, O9: neither our cookies, nor a token, nor the way to it reaches it or others', async () => {
    await attack(`await fetch('${stage.elsewhere.url}', { mode: 'no-cors' })`)
    await attack(`await fetch('/script')`)
    const capability = prefix().split('~')[1]!
    for (const { path, headers } of stage.hostile.requests) {
      const all = JSON.stringify(headers).toLowerCase()
      assert.ok(!/wmoc_|"authorization"|bearer/.test(all), `${path} ${all}`)
      assert.ok(!`${path} ${all}`.includes(capability.toLowerCase()), `${path} ${all}`)
    }
    assert.ok(stage.elsewhere.requests.length > 0)
    for (const headers of stage.elsewhere.requests) assert.equal(headers.referer, undefined)
    assert.equal(await attack('return document.referrer'), '')
  })

  test('O10: headers that speak for more than its page are gone, and have done nothing', async () => {
    const ours = await stage.portalCookies(nameOf)
    const answers = await answersTo(shell, () => open('/overreaching'))
    const answer = answers.find((one) => one.url().includes('~') && one.url().endsWith('/overreaching'))
    assert.ok(answer, answers.map((one) => one.url()).join(' '))
    const shown = await answer.allHeaders()
    for (const [name, value] of Object.entries(OVERREACHING))
      assert.notEqual(shown[name.toLowerCase()], value, name)
    assert.match(shown['content-security-policy']!, /sandbox/)
    assert.deepEqual(await stage.portalCookies(nameOf), ours)
    await stage.isSignedIn()
    await open('/')
  })

  test('the tab stays where it is, whatever the page tries', async () => {
    const address = shell.url()
    for (const code of [
      `top.location = '${stage.elsewhere.url}'`,
      `parent.location.href = '${stage.elsewhere.url}'`,
      `const a = document.createElement('a'); a.href = '${stage.elsewhere.url}'; a.target = '_top'; document.body.append(a); a.click()`,
      `document.body.innerHTML = '<form target="_top" action="${stage.elsewhere.url}"></form>'; document.querySelector('form').submit()`,
      `window.open('${stage.elsewhere.url}', '_top')`,
      `window.open('${stage.elsewhere.url}', '_parent')`,
    ]) {
      for (const run of [attack, bare])
        await run(`${code}; await new Promise((resolve) => setTimeout(resolve, 200))`).catch(
          () => 'navigated',
        )
      assert.equal(shell.url(), address, code)
      await open('/')
    }
  })

  test('the address bar never shows anything but its own address, however it pushes and however often', async () => {
    const own = `/c/${stage.hostile.id}/`
    await attack(`
      for (const path of ['/account', '/../../account', '//evil.example/', '/\\\\evil', 'javascript:alert(1)', '/%2e%2e/%2e%2e/account', '/c/${stage.neighbour.id}/']) {
        try { history.pushState(null, '', path) } catch {}
        parent.postMessage({ wmoc: 'page', path, title: 'Sign in' }, '*')
        parent.postMessage({ wmoc: 'strayed', path, title: 'Sign in' }, '*')
        await new Promise((resolve) => setTimeout(resolve, 400))
      }
      for (let count = 0; count < 20000; count += 1) parent.postMessage({ wmoc: 'page', path: '/' + count, title: 'x'.repeat(1000) }, '*')`).catch(
      () => 'navigated',
    )
    await shell.waitForTimeout(1_000)
    assert.ok(new URL(shell.url()).pathname.startsWith(own), shell.url())
    // The shell still answers, and still says whose page it is.
    await shell.getByRole('heading', { name: 'Waiting' }).waitFor()
    await shot('spoof')
    await open('/')
  })

  test('its address opened by itself leads back into the frame', async () => {
    const address = `${stage.platform.url}${prefix()}/`
    const tab = await stage.watched.newPage()
    await tab.goto(address)
    await tab.getByRole('heading', { name: 'Waiting' }).waitFor()
    assert.equal(new URL(tab.url()).pathname, `/c/${stage.hostile.id}/`)
    await shot('top-level')
    await tab.close()
    const stranger = await stage.browser.newContext()
    const guest = await stranger.newPage()
    await guest.goto(address)
    await guest.getByRole('button', { name: 'Sign in' }).waitFor()
    assert.ok(!guest.url().includes('~'))
    await stranger.close()
  })

  test('O14: what it sends without a type is never shown, and nothing is sniffed', async () => {
    const shown = await attack(
      `const answer = await fetch('/untyped'); return answer.headers.get('content-type') + ' ' + answer.status`,
    )
    assert.equal(shown, 'application/octet-stream 200')
    const script = await attack(
      `await new Promise((resolve, reject) => { const one = document.createElement('script'); one.onload = resolve; one.onerror = () => reject(new EvalError()); one.src = '/untyped'; document.head.append(one) })`,
    )
    assert.equal(script, 'EvalError')
  })

  test('O16: holds no window of the portal, and what it opens is no part of it', async () => {
    for (const run of [attack, bare]) {
      const opened = stage.watched.context.waitForEvent('page')
      const said = await run(`
        const held = window.open('${stage.platform.url}/account')
        for (let turn = 0; turn < 600 && held !== null && !held.closed && held.document; turn += 1)
          await new Promise((resolve) => setTimeout(resolve, 100))
        return held === null || held.closed`)
      const popup = await opened
      assert.match(said, /^(true|SecurityError)$/)
      await popup.getByRole('heading').first().waitFor()
      assert.equal(await popup.evaluate('opener'), null)
      // Without sandbox: a manual that a page links to works as anywhere.
      assert.equal(await popup.evaluate('origin'), stage.platform.url)
      assert.ok(!popup.url().includes('~'), popup.url())
      await popup.close()
    }
    await stage.isSignedIn()
  })

  test('camera, place, clipboard and screen are not for it', async () => {
    const meets = await attack(`
      const names = []
      const tries = [() => navigator.mediaDevices.getUserMedia({ video: true }), () => new Promise((resolve, reject) => navigator.geolocation.getCurrentPosition(resolve, reject)), () => navigator.clipboard.readText(), () => document.documentElement.requestFullscreen()]
      for (const one of tries) try { await one(); names.push('allowed') } catch (error) { names.push('refused') }
      return names`)
    assert.equal(meets, 'refused,refused,refused,refused')
  })

  test('signing out ends the page at once', async () => {
    const address = `${stage.platform.url}${prefix()}/`
    const status = async () =>
      (await fetch(address, { headers: { 'sec-fetch-dest': 'empty', 'sec-fetch-mode': 'cors' } })).status
    assert.equal(await status(), 200)
    await stage.portal.evaluate(`fetch('/api/auth/logout', { method: 'POST' })`)
    await eventually(
      async () => [401, 403, 404].includes(await status()),
      'the capability ends with the session',
    )
  })
})

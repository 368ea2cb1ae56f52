/** What belongs to one person is, for everybody else, not there: by every route and method, on every surface. */
import assert from 'node:assert/strict'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { Contract, RouteDescription } from '@wmoc/api/contract-kit'
import { uuidv7 } from '@wmoc/platform/ids'
import { ROOT } from '../scripts/start/root.ts'
import { ask, FETCH, NAVIGATE } from './support/ask.ts'
import type { Answer, Ask } from './support/ask.ts'
import { openDatabase } from './support/database.ts'
import type { Database } from './support/database.ts'
import { claimDevice } from './support/device.ts'
import type { OwnDevice } from './support/device.ts'
import { eventually, openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

/** Every route that any module of the API describes: a new module is tested without a word here. */
const CONTRACTS: readonly Contract[] = (
  await Promise.all(
    globSync('api/src/modules/*/contract.ts', { cwd: ROOT })
      .toSorted()
      .map((path) => import(join(ROOT, path)) as Promise<Record<string, unknown>>),
  )
).flatMap((module) => Object.values(module).filter(isContract))

const ROUTES = CONTRACTS.flatMap(({ name, routes }) =>
  Object.entries(routes).map(([key, route]) => ({ id: `${name}.${key}`, route })),
)
const SCOPED = ROUTES.filter(({ route }) => route.path.includes('/:'))
const OWN = ROUTES.filter(({ route }) => !route.path.includes('/:') && route.access !== 'public')

/** A body that the owner could send; a route that takes a body and has no line here fails. */
const BODIES: Readonly<Record<string, object>> = {
  'controllers.update': { name: 'Mine now', tags: ['stolen'] },
  'controllers.activate': { name: 'My own' },
  'controllers.createView': { name: 'Mine', filters: { q: '', status: null, tags: [], sort: 'name' } },
  'controllers.previewClaim': { code: 'BCDFGHJK' },
  'sharing.share': { email: 'thief@wmoc.example' },
  'sharing.createLink': { scope: 'use' },
  'commands.send': { name: 'reboot', params: {} },
  'auth.updateMe': { name: 'Stranger' },
  'auth.changePassword': { currentPassword: 'not the password', newPassword: 'another password' },
  'notifications.updatePreferences': { channels: { email: { types: [], quietHours: null } } },
  'notifications.testChannel': { channel: 'email' },
}
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']

/** Written by the platform itself as time goes by. */
const ON_THEIR_OWN = ['last_seen_at', 'last_used_at']

suite('a second person', () => {
  let platform: TestStack
  let database: Database
  let owner: Person
  let stranger: Person
  let device: OwnDevice
  let label: string
  let owned: Readonly<
    Record<
      'controllerId' | 'commandId' | 'notificationId' | 'sessionId' | 'viewId' | 'shareId' | 'linkId',
      string
    >
  >
  let ownersIds: string[]

  const callApi = (given: Ask) => ask(platform.stack.port, given)
  const bearer = (person: Person) => ({ authorization: `Bearer ${person.accessToken}` })
  const deviceHost = () => `${label}.${platform.stack.deviceDomain}`

  before(async () => {
    platform = await openStack()
    database = await openDatabase(platform)
    owner = await platform.signIn('owner@wmoc.example')
    stranger = await platform.signIn('stranger@wmoc.example')
    device = await claimDevice(platform, owner, { name: 'Boiler', answer: () => ({ body: 'secret page' }) })
    owned = await buildOwned()
    // It writes rows when their time has come, which are nobody's doing here.
    await platform.stack.kill('worker')
    const [row] = await database.rows<{ label: string; workspace: string; user: string }>(
      `SELECT page_label AS label, workspace_id AS workspace, user_id AS "user" FROM controllers WHERE id = $1`,
      [device.id],
    )
    label = row!.label
    ownersIds = [row!.user, row!.workspace, ...Object.values(owned)]
  })
  after(async () => {
    await device?.stop()
    await database?.close()
    await platform?.stop()
  })

  async function refreshCookie(email: string): Promise<string> {
    const token = new URL(await platform.signInLink(email)).hash.replace('#link=', '')
    const answer = await callApi({
      method: 'POST',
      path: '/api/auth/login/link',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token: decodeURIComponent(token) }),
    })
    const cookie = answer.headers['set-cookie']?.find((line) => line.startsWith('__Host-wmoc_refresh='))
    assert.ok(cookie, answer.text)
    return cookie.split(';')[0]!
  }

  async function buildOwned(): Promise<typeof owned> {
    const params = { id: device.id }
    const { id: commandId } = await owner.api.commands.send({ params, body: { name: 'echo' } })
    await eventually(
      async () =>
        (await owner.api.commands.get({ params: { ...params, commandId } })).state === 'acknowledged',
      'the command done',
    )
    const [notification] = await eventually(async () => {
      const { items } = await owner.api.notifications.list({})
      return items.length > 0 && items
    }, 'a notification')
    device.simulator.log('info', 'a secret line')
    device.simulator.report({ secret_metric: 1 })
    await eventually(async () => device.simulator.unacknowledged === 0, 'telemetry stored')
    const { sessionId } = await owner.api.auth.me()
    const { id: viewId } = await owner.api.controllers.createView({
      body: { name: 'A secret view', filters: { q: 'Boiler', status: null, tags: [], sort: 'name' } },
    })
    const { id: shareId } = await owner.api.sharing.share({ params, body: { email: 'friend@wmoc.example' } })
    const { link } = await owner.api.sharing.createLink({ params, body: { scope: 'view' } })
    const notificationId = notification!.id
    return { controllerId: device.id, commandId, notificationId, sessionId, viewId, shareId, linkId: link.id }
  }

  /** Count and hash of all rows, or of those that name one of these ids. */
  const fingerprint = (ids?: readonly string[]) =>
    database.fingerprint({ withoutColumns: ON_THEIR_OWN, naming: ids })

  /** Runs it and holds it to having changed no row and reached no device. */
  async function changingNothing<T>(act: () => Promise<T>, ids?: readonly string[]): Promise<T> {
    const [prints, requests, commands] = [
      await fingerprint(ids),
      device.requests.length,
      device.commands.length,
    ]
    const result = await act()
    assert.deepEqual(await fingerprint(ids), prints)
    assert.equal(device.requests.length, requests, 'a request reached the device')
    assert.equal(device.commands.length, commands, 'a command reached the device')
    return result
  }

  function callRoute(id: string, route: RouteDescription, params: Readonly<Record<string, string>>) {
    const body = BODIES[id]
    if (route.body) assert.ok(body, `no body is known for ${id}`)
    return callApi({
      method: route.method,
      path: route.path.replaceAll(/:([A-Za-z]+)/g, (_, name: string) => params[name]!),
      headers: { ...bearer(stranger), ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  }

  /** The owner's ids in the places of the path, or ids of nobody. */
  function paramsOf(path: string, isForeign: boolean): Record<string, string> {
    const byKind: Record<string, string> = {
      controllers: owned.controllerId,
      notifications: owned.notificationId,
      auth: owned.sessionId,
    }
    const byName: Record<string, string | undefined> = {
      id: byKind[path.split('/')[2]!],
      commandId: owned.commandId,
      viewId: owned.viewId,
      shareId: owned.shareId,
      linkId: owned.linkId,
    }
    const names = [...path.matchAll(/:([A-Za-z]+)/g)].map(([, name]) => name!)
    return Object.fromEntries(
      names.map((name) => {
        const id = byName[name]
        assert.ok(id, `no fixture for :${name} of ${path}`)
        return [name, isForeign ? id : uuidv7()]
      }),
    )
  }

  for (const { id, route } of SCOPED) {
    test(`U9: gets 404 from ${route.method} ${route.path}, the same as for an id of nobody`, async () => {
      const [foreign, unknown] = await changingNothing(async () => [
        await callRoute(id, route, paramsOf(route.path, true)),
        await callRoute(id, route, paramsOf(route.path, false)),
      ])
      assert.equal(foreign.status, 404, foreign.text)
      assert.deepEqual(withoutRequestId(foreign), withoutRequestId(unknown))
    })
  }

  for (const { id, route } of OWN) {
    if (route.stream) continue
    test(`U9: neither sees nor changes anything of the first by ${route.method} ${route.path}`, async () => {
      const answer = await changingNothing(() => callRoute(id, route, {}), ownersIds)
      assert.ok(answer.status < 500, answer.text)
      for (const secret of [...ownersIds, 'owner@wmoc.example', 'Boiler', 'secret'])
        assert.ok(!answer.text.includes(secret), `${id} shows ${secret}`)
    })
  }

  test('U9: gets 404 from the event stream for the logs or metrics of a foreign controller', async () => {
    for (const query of [`logs=${device.id}`, `metrics=${device.id}`, `logs=${uuidv7()}`]) {
      const answer = await changingNothing(() =>
        callApi({ path: `/api/events?${query}`, headers: bearer(stranger) }),
      )
      assert.equal(answer.status, 404, answer.text)
    }
  })

  test('U17: hears nothing of the first in its own event stream, while the first does', async () => {
    const heard = { owner: '', stranger: '' }
    const abort = new AbortController()
    const listen = async (who: keyof typeof heard, person: Person) => {
      const { body } = await person.fetch('/api/events', { signal: abort.signal })
      try {
        for await (const chunk of body!) heard[who] += Buffer.from(chunk).toString()
      } catch {
        // The abort.
      }
    }
    const listening = [listen('owner', owner), listen('stranger', stranger)]
    await eventually(async () => heard.owner !== '' && heard.stranger !== '', 'both listen')
    const { id } = await owner.api.commands.send({ params: { id: device.id }, body: { name: 'echo' } })
    await eventually(async () => heard.owner.includes(id), 'the owner hears of it')
    await stranger.api.auth.updateMe({ body: { name: 'S' } })
    abort.abort()
    await Promise.all(listening)
    for (const secret of [...ownersIds, id]) assert.ok(!heard.stranger.includes(secret), heard.stranger)
  })

  for (const method of METHODS) {
    test(`U9: gets 404 from ${method} /c/{id}/ with Bearer, the same as for an id of nobody`, async () => {
      await changingNothing(async () => {
        for (const path of ['/', '/a/b?c=d', '/%2e%2e/', '/_wmoc/enter?code=x']) {
          const body = ['POST', 'PUT', 'PATCH'].includes(method) ? 'open=1' : undefined
          const [foreign, unknown] = await Promise.all(
            [device.id, uuidv7()].map((id) =>
              callApi({ method, path: `/c/${id}${path}`, headers: bearer(stranger), body }),
            ),
          )
          assert.equal(foreign!.status, 404, `${path} ${foreign!.text}`)
          assert.deepEqual(withoutRequestId(foreign!), withoutRequestId(unknown!))
        }
      })
    })

    test(`without a token gets 401 from ${method} /c/{id}/`, async () => {
      await changingNothing(async () => {
        const plain = await callApi({ method, path: `/c/${device.id}/` })
        assert.equal(plain.status, 401)
        const forged = await callApi({
          method,
          path: `/c/${device.id}/`,
          headers: { authorization: `Bearer ${stranger.accessToken.slice(0, -4)}AAAA` },
        })
        assert.equal(forged.status, 401)
      })
    })
  }

  suite('with a browser, a session and a device of its own', () => {
    let ownDevice: OwnDevice
    let refresh: string
    let pageCookie: string

    /** Opens `/c/{id}/` as a browser does. */
    const leavePortal = (id: string, cookie: string) =>
      callApi({ path: `/c/${id}/`, headers: { ...NAVIGATE, cookie } })
    const entrance = ({ headers }: Answer) => new URL(headers.location ?? '', platform.url)

    before(async () => {
      refresh = await refreshCookie('stranger@wmoc.example')
      ownDevice = await claimDevice(platform, stranger, { name: 'Own', answer: () => ({ body: 'own' }) })
      const { host, pathname, search } = entrance(await leavePortal(ownDevice.id, refresh))
      const entered = await callApi({ host, path: pathname + search, headers: NAVIGATE })
      pageCookie = entered.headers['set-cookie']![0]!.split(';')[0]!
      const page = await callApi({ host, path: '/', headers: { ...NAVIGATE, cookie: pageCookie } })
      assert.equal(page.text, 'own')
    })
    after(() => ownDevice?.stop())

    test('is not handed over to the page: 404, and the sign-in without a session', async () => {
      await changingNothing(async () => {
        assert.equal((await leavePortal(device.id, refresh)).status, 404)
        const unsigned = await leavePortal(device.id, '')
        assert.equal(unsigned.status, 303)
        assert.match(unsigned.headers.location!, /\/sign-in\?next=/)
      })
    })

    test("can't enter the stolen origin with a code made for its own device", async () => {
      await changingNothing(async () => {
        const { pathname, search } = entrance(await leavePortal(ownDevice.id, refresh))
        assert.match(search, /^\?code=[A-Za-z0-9_-]{43}$/)
        const entered = await callApi({ host: deviceHost(), path: pathname + search, headers: NAVIGATE })
        assert.equal(entered.headers['set-cookie'], undefined)
        assert.equal(entered.headers.location, `${platform.url}/c/${device.id}/`)
      })
    })

    for (const method of METHODS) {
      test(`reaches nothing by ${method} on the device's own origin, whose label it has stolen`, async () => {
        await changingNothing(async () => {
          for (const cookie of ['', refresh, pageCookie]) {
            const headers = { ...FETCH, cookie, ...bearer(stranger) }
            const answer = await callApi({ method, host: deviceHost(), path: '/', headers })
            assert.equal(answer.status, 401, `${method} ${cookie.slice(0, 30)}`)
          }
        })
      })
    }

    test('opens nothing on the stolen origin: it is sent to the portal, which knows of no such controller', async () => {
      await changingNothing(async () => {
        const headers = { ...NAVIGATE, cookie: pageCookie }
        const opened = await callApi({ host: deviceHost(), path: '/x', headers })
        assert.equal(opened.status, 303)
        assert.equal(opened.headers.location, `${platform.url}/c/${device.id}/x`)
      })
    })
  })

  test('left no trace: the first has its page, and the device saw that one request alone', async () => {
    assert.deepEqual(device.requests, [])
    const page = await owner.fetch(`/c/${device.id}/`)
    assert.deepEqual([page.status, await page.text()], [200, 'secret page'])
    assert.equal(device.requests.length, 1)
    assert.equal((await owner.api.controllers.get({ params: { id: device.id } })).name, 'Boiler')
  })
})

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'name' in value && 'routes' in value
}

function withoutRequestId({ status, text }: Answer): unknown {
  if (text === '') return { status }
  const { requestId: _, ...problem } = JSON.parse(text) as Record<string, unknown>
  return { status, problem }
}

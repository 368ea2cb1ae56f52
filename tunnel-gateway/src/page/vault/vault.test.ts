import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import { pageCredentialKey } from '@wmoc/protocol/control-plane'
import { WebSocket } from 'ws'
import { startControlPlane } from '#src/testing/control-plane-server.ts'
import type { Person } from '#src/testing/control-plane-server.ts'
import { startHarness, until } from '#src/testing/harness.ts'
import type { Answer, Ask, Harness } from '#src/testing/harness.ts'
import { onlineV2 } from '#src/testing/raw-device-v2.ts'
import { testRedis } from '@wmoc/testkit/redis'
import { announceTo, IN_FRAME, openAsGuest, openFrame, served } from '../testing/frames.ts'
import { PASSWORD, serveBasic, serveDigest, USER } from '../testing/protected-device.ts'

const OPENS = { ...IN_FRAME, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe', accept: 'text/html' }
const FETCHES = { ...IN_FRAME, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty', origin: 'null' }
const FORM = { 'content-type': 'application/x-www-form-urlencoded', origin: 'null' }

/** A person at a page in a frame. */
function visitor(harness: Harness, src: string) {
  const base = src.slice(0, -1)
  const ask = (path: string, given: Omit<Partial<Ask>, 'path'> = {}) =>
    harness.ask({ ...given, path: base + path, headers: { ...OPENS, ...given.headers } })
  const tokenOf = (form: Answer) => /name="token" value="([^"]+)"/.exec(form.text)?.[1] ?? ''
  const post = (fields: Record<string, string>, headers = {}) =>
    ask('/_wmoc/sign-in', {
      method: 'POST',
      headers: { ...FORM, ...headers },
      body: new URLSearchParams(fields).toString(),
    })
  return {
    base,
    ask,
    post,
    tokenOf,
    fetch: (path: string, given: Omit<Partial<Ask>, 'path'> = {}) =>
      ask(path, { ...given, headers: { ...FETCHES, ...given.headers } }),
    /** The form of a page, filled in; then where it leads to. */
    async signIn(path = '/', password = PASSWORD, fields: Record<string, string> = {}) {
      const form = await ask(path)
      const posted = await post({ token: tokenOf(form), username: USER, password, ...fields })
      if (posted.status !== 303) return posted
      const url = new URL(posted.headers.location!)
      return harness.ask({ path: url.pathname + url.search, headers: OPENS })
    },
  }
}

suite('the vault', () => {
  let harness: Harness
  const lines: string[] = []
  before(async () => {
    const log = createLogger({
      process: 'gateway',
      level: 'debug',
      format: 'json',
      stream: new Writable({
        write(chunk, _encoding, done) {
          lines.push(String(chunk))
          done()
        },
      }),
    })
    harness = await startHarness({ DEVICE_DOMAIN: '', TRUSTED_HOPS: '1' }, log)
  })
  after(() => harness.stop())

  async function protectedByBasic() {
    const { known, device, id, person } = await served(harness)
    const state = serveBasic(device)
    const { src } = await openFrame(harness, id, person)
    return { known, device, id, person, state, at: visitor(harness, src) }
  }

  async function protectedByDigest(changes: Parameters<typeof serveDigest>[1] = {}) {
    const { device, id, person } = await served(harness)
    const state = serveDigest(device, changes)
    const { src } = await openFrame(harness, id, person)
    return { device, id, person, state, at: visitor(harness, src) }
  }

  const codeOf = ({ text }: Answer) => (JSON.parse(text) as { code: string }).code

  test('O8: a device’s challenge becomes a form of ours, and no browser ever sees it', async () => {
    const { at } = await protectedByBasic()
    const form = await at.ask('/status')
    assert.equal(form.status, 401)
    assert.equal(form.headers['www-authenticate'], undefined)
    assert.match(String(form.headers['content-type']), /^text\/html/)
    assert.match(form.text, /Boiler/)
    assert.match(form.text, /Boiler room/)
    const policy = String(form.headers['content-security-policy'])
    assert.match(policy, /default-src 'none'/)
    assert.match(policy, /script-src 'none'/)
    assert.match(policy, /sandbox/)
    assert.equal(form.headers['cache-control'], 'no-store')
    assert.ok(!form.text.includes('Go away'))
    assert.match((await at.ask('/', { headers: { 'accept-language': 'ru' } })).text, /Войти/)
  })

  test('what a page’s script or image asks for is a problem without a challenge', async () => {
    const { at, id, person } = await protectedByBasic()
    for (const answer of [await at.fetch('/data'), await harness.api(person, id, { path: '/data' })]) {
      assert.deepEqual([answer.status, codeOf(answer)], [401, 'device_sign_in_required'])
      assert.equal(answer.headers['www-authenticate'], undefined)
    }
  })

  test('names of devices and realms are text, whatever they hold', async () => {
    const { at, state } = await protectedByBasic()
    state.realm = '<script>alert(1)</script>\\" autofocus'
    const form = await at.ask('/')
    assert.ok(!form.text.includes('<script>alert'))
    assert.match(form.text, /&#60;script&#62;/)
  })

  test('a good name and password open the page that asked, and go with every later request of that person', async () => {
    const { at, id, person, state } = await protectedByBasic()
    const opened = await at.signIn('/a?b=c')
    assert.deepEqual([opened.status, opened.text], [200, 'GET /a?b=c'])
    assert.deepEqual(state.seen, ['GET /a?b=c', 'GET /a?b=c Basic'])
    assert.equal((await at.fetch('/save', { method: 'POST', body: 'x=1' })).status, 200)
    assert.equal((await harness.api(person, id, { path: '/data' })).status, 200)
    assert.equal((await harness.api(person, id, { method: 'PUT', path: '/data', body: 'y' })).status, 200)
    assert.equal(state.seen.filter((line) => !line.endsWith(' Basic')).length, 1)
  })

  test('a refused one is said to be refused by the device, and is kept nowhere', async () => {
    const { at, id, person } = await protectedByBasic()
    const refused = await at.signIn('/', 'wrong', { remember: 'yes' })
    assert.equal(refused.status, 401)
    assert.match(refused.text, /The device refused this name or password/)
    assert.equal(harness.controlPlane.credentials.size, 0)
    assert.equal((await at.fetch('/')).status, 401)
    const again = await at.post({ token: at.tokenOf(refused), username: USER, password: PASSWORD })
    assert.equal(again.status, 303)
    assert.equal((await harness.api(person, id)).status, 200)
  })

  test('is asked for by nobody else’s request: not by another person’s, and not by another device’s', async () => {
    const { at, id, device, state } = await protectedByBasic()
    await at.signIn()
    const other = await harness.controlPlane.addPerson()
    harness.controlPlane.grant(other, id, 'admin')
    const page = await openFrame(harness, id, other)
    assert.equal((await visitor(harness, page.src).ask('/')).status, 401)
    assert.equal((await harness.api(other, id)).status, 401)
    const second = await protectedByBasic()
    harness.controlPlane.grant(second.person, id)
    await second.at.signIn()
    const sent = state.authorizations.length
    assert.equal((await harness.api(second.person, id)).status, 401)
    assert.equal(state.authorizations.length, sent)
    device.stop()
  })

  test('remembered it is kept by the API and serves all sessions of the person; else this session only', async () => {
    const kept = await protectedByBasic()
    await kept.at.signIn('/', PASSWORD, { remember: 'yes' })
    const key = `${kept.person.userId} ${kept.id}`
    await until(() => harness.controlPlane.credentials.has(key))
    assert.equal(harness.controlPlane.credentials.get(key)?.credential.realm, 'Boiler room')
    const elsewhere = await secondSession(kept.person)
    assert.equal((await harness.api(elsewhere, kept.id)).status, 200)

    const passing = await protectedByBasic()
    await passing.at.signIn()
    assert.equal((await harness.api(passing.person, passing.id)).status, 200)
    assert.equal((await harness.api(await secondSession(passing.person), passing.id)).status, 401)
    assert.ok(!harness.controlPlane.credentials.has(`${passing.person.userId} ${passing.id}`))
  })

  async function secondSession(person: Person): Promise<Person> {
    const sessionId = randomUUID()
    const accessToken = await harness.controlPlane.sign({ sub: person.userId, sid: sessionId })
    const session = { ...person, sessionId, accessToken, refreshToken: sessionId }
    harness.controlPlane.sessions.set(sessionId, session)
    return session
  }

  test('R2: what was typed lies sealed in the store, and in no log line', async () => {
    const { at, id, person } = await protectedByBasic()
    await at.signIn('/', 'wrong-but-secret-93')
    await at.signIn()
    await harness.api(person, id)
    const store = openStore({
      url: harness.redis.url,
      log: createLogger({ process: 'gateway', level: 'silent' }),
      name: 't',
    })
    const sealed = await store.get(pageCredentialKey(id, person.userId))
    await store.close()
    assert.match(sealed ?? '', /^v1\./)
    const basic = Buffer.from(`${USER}:${PASSWORD}`).toString('base64')
    for (const secret of [PASSWORD, 'wrong-but-secret-93', basic]) {
      assert.ok(!sealed!.includes(secret))
      assert.ok(lines.every((line) => !line.includes(secret)))
    }
    assert.ok(lines.length > 0)
  })

  test('a form works once, for the person, page and device that it was made for', async () => {
    const first = await protectedByBasic()
    const second = await protectedByBasic()
    harness.controlPlane.grant(second.person, first.id)
    const token = first.at.tokenOf(await first.at.ask('/'))
    const fields = { token, username: USER, password: PASSWORD }
    const theirs = visitor(harness, (await openFrame(harness, first.id, second.person)).src)
    assert.equal((await theirs.post(fields)).status, 400)
    fields.token = first.at.tokenOf(await first.at.ask('/'))
    const foreign = await second.at.post(fields)
    assert.equal(foreign.status, 400)
    assert.match(foreign.text, /too old/)
    assert.equal((await first.at.post(fields)).status, 400)
    const fresh = { ...fields, token: first.at.tokenOf(await first.at.ask('/')) }
    assert.equal((await first.at.post(fresh)).status, 303)
    assert.equal((await first.at.post(fresh)).status, 400)
    assert.equal((await harness.api(second.person, first.id)).status, 401)
  })

  test('a form that is not ours is refused and tells nothing of what was typed', async () => {
    const { at } = await protectedByBasic()
    const token = at.tokenOf(await at.ask('/'))
    const fields = { token, username: USER, password: 'secret\u0000' }
    const broken = await at.post(fields)
    assert.deepEqual([broken.status, codeOf(broken)], [400, 'malformed'])
    assert.ok(!broken.text.includes('secret'))
    assert.equal((await at.post({ ...fields, password: 'p'.repeat(9_000) })).status, 413)
    assert.equal((await at.post(fields, { 'content-type': 'text/plain' })).status, 415)
    assert.equal((await at.ask('/_wmoc/sign-in')).status, 405)
  })

  test('five attempts a minute, then a person has to wait', async () => {
    const { at, state } = await protectedByBasic()
    for (let attempt = 0; attempt < 5; attempt += 1) assert.equal((await at.signIn('/', 'no')).status, 401)
    const sent = state.authorizations.length
    const limited = await at.signIn('/', PASSWORD)
    assert.equal(limited.status, 429)
    assert.ok(Number(limited.headers['retry-after']) > 0)
    assert.match(limited.text, /Too many attempts/)
    assert.equal(state.authorizations.length, sent)
    // Nor does whoever posts on and on get one form after the other, each of which is kept.
    const token = 'x'.repeat(43)
    const again = await at.post({ token, username: USER, password: PASSWORD })
    assert.deepEqual([again.status, at.tokenOf(again)], [429, token])
  })

  test('is forgotten when the person says so, on this shard and in the store', async () => {
    const { at, id, person } = await protectedByBasic()
    await at.signIn('/', PASSWORD, { remember: 'yes' })
    const key = `${person.userId} ${id}`
    await until(() => harness.controlPlane.credentials.has(key))
    assert.equal((await at.fetch('/')).status, 200)
    harness.controlPlane.credentials.delete(key)
    await announceTo(harness, { type: 'page_credentials_changed', userId: person.userId, controllerId: id })
    await until(async () => (await at.fetch('/')).status === 401)
  })

  test('ends with the access: who is let in again later is asked again', async () => {
    const { at, id, person } = await protectedByBasic()
    await at.signIn()
    assert.equal((await at.fetch('/')).status, 200)
    await announceTo(harness, { type: 'access_changed', userId: person.userId, controllerId: id })
    await until(async () => (await harness.api(person, id)).status === 401)
  })

  test('that the device takes no more is forgotten everywhere, and asked for again', async () => {
    const { at, id, person, state } = await protectedByBasic()
    await at.signIn('/', PASSWORD, { remember: 'yes' })
    const key = `${person.userId} ${id}`
    await until(() => harness.controlPlane.credentials.has(key))
    state.password = 'changed-at-the-device'
    const asked = await at.ask('/')
    assert.equal(asked.status, 401)
    assert.match(asked.text, /does not take the saved name and password any more/)
    assert.ok(!harness.controlPlane.credentials.has(key))
  })

  test('Digest: the strongest is answered, each use counted, for other paths too', async () => {
    const { at, id, person, state } = await protectedByDigest()
    assert.equal((await at.signIn('/cm?cmnd=Status%200')).text, 'GET /cm?cmnd=Status%200')
    for (const path of ['/a', '/b', '/c']) assert.equal((await at.ask(path)).status, 200)
    assert.equal((await harness.api(person, id, { path: '/d' })).status, 200)
    assert.equal(state.seen.filter((line) => !line.endsWith(' Digest')).length, 1)
    assert.ok(state.authorizations.every((text) => text.includes('algorithm=SHA-256')))
    assert.equal(new Set(state.authorizations.map((text) => /nc=(\w+)/.exec(text)![1])).size, 5)
    assert.ok(state.authorizations.every((text) => !text.includes(PASSWORD)))
  })

  test('Digest: a stale nonce is made good without asking the person, and a body is asked for once more', async () => {
    const { at, state } = await protectedByDigest()
    await at.signIn()
    state.expire()
    assert.equal((await at.ask('/x')).status, 200)
    state.expire()
    const posted = await at.fetch('/save?x=1', { method: 'POST', body: 'a=1' })
    assert.equal(posted.status, 307)
    assert.equal(posted.headers.location, `http://localhost:8080${at.base}/save?x=1`)
    assert.equal((await at.fetch('/save?x=1', { method: 'POST', body: 'a=1' })).status, 200)
  })

  test('Digest: a device that makes a new nonce at each refusal and never says stale still works, and a wrong password ends', async () => {
    const { at, state } = await protectedByDigest({ isForgetful: true })
    const refused = await at.signIn('/', 'wrong')
    assert.match(refused.text, /refused/)
    assert.ok(state.authorizations.length <= 3)
    assert.equal((await at.signIn()).status, 200)
    state.expire()
    assert.equal((await at.ask('/y')).status, 200)
  })

  test('a password that was given to a Digest is never sent as Basic', async () => {
    const { at, device, state } = await protectedByDigest()
    await at.signIn()
    const basic = serveBasic(device, { realm: state.realm })
    assert.equal((await at.ask('/')).status, 401)
    assert.ok(basic.authorizations.every((text) => text.startsWith('Digest ')))
  })

  test('a page’s own script may sign in by itself; the browser still sees no challenge', async () => {
    const { at, state } = await protectedByBasic()
    const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
    assert.equal((await at.fetch('/', { headers: { authorization: basic } })).status, 200)
    const wrong = await at.fetch('/', { headers: { authorization: 'Basic YTpi' } })
    assert.deepEqual([wrong.status, wrong.headers['www-authenticate']], [401, undefined])
    assert.equal(state.seen.length, 2)
  })

  test('a challenge that no gateway can answer goes on without its header', async () => {
    const { device, id, person } = await served(harness)
    device.serve(() => ({ status: 401, headers: { 'WWW-Authenticate': 'NTLM' }, body: 'no' }))
    const { src } = await openFrame(harness, id, person)
    const answer = await visitor(harness, src).ask('/')
    assert.deepEqual([answer.status, answer.text, answer.headers['www-authenticate']], [401, 'no', undefined])
  })

  test('guests are asked themselves, keep it for their own page only and are not offered more', async () => {
    const { at, known, id, state } = await protectedByBasic()
    await at.signIn('/', PASSWORD, { remember: 'yes' })
    const { token } = harness.controlPlane.addLink(known, 'use')
    const guest = async () => {
      const { text } = await openAsGuest(harness, id, token)
      return visitor(harness, (JSON.parse(text) as { src: string }).src)
    }
    const sent = state.authorizations.length
    const [one, two] = [await guest(), await guest()]
    const form = await one.ask('/')
    assert.equal(form.status, 401)
    assert.equal(state.authorizations.length, sent)
    assert.doesNotMatch(form.text, /name="remember"/)
    assert.equal((await one.signIn('/', PASSWORD, { remember: 'yes' })).status, 200)
    assert.equal((await two.ask('/')).status, 401)
  })

  test('a WebSocket opens with it too', async () => {
    const known = harness.controlPlane.addController()
    const person = await harness.controlPlane.addPerson()
    const { controllerId } = known.record
    harness.controlPlane.grant(person, controllerId)
    const basic = `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString('base64')}`
    harness.controlPlane.credentials.set(`${person.userId} ${controllerId}`, {
      credential: { scheme: 'basic', realm: '', username: USER, password: PASSWORD, port: null },
      savedAt: 1,
    })
    const device = await onlineV2(harness.port, known)
    const socket = new WebSocket(`ws://127.0.0.1:${harness.port}/c/${controllerId}/ws`, {
      headers: { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` },
    })
    socket.on('error', () => undefined)
    const { request } = await device.nextRequest()
    assert.ok(JSON.stringify(request.headers).includes(basic))
    socket.terminate()
    device.stop()
  })
})

suite('the vault on two shards', () => {
  test('what was typed at one serves at the other at once', async () => {
    const [redis, controlPlane] = [await testRedis(), await startControlPlane()]
    const shared = { redis, controlPlane }
    const quiet = createLogger({ process: 'gateway', level: 'silent' })
    const shard = (id: string) => startHarness({ DEVICE_DOMAIN: '', SHARD_ID: id }, quiet, shared)
    const [one, two] = [await shard('gateway-0'), await shard('gateway-1')]
    try {
      const { device, id, person } = await served(one)
      serveBasic(device)
      const { src } = await openFrame(one, id, person)
      const [here, there] = [visitor(one, src), visitor(two, src)]
      assert.equal((await there.ask('/')).status, 401)
      const form = await here.ask('/')
      const fields = { token: here.tokenOf(form), username: USER, password: PASSWORD }
      assert.equal((await there.post(fields)).status, 303)
      assert.equal((await here.ask('/')).status, 200)
      assert.equal((await there.ask('/')).status, 200)
    } finally {
      await Promise.all([one.stop(), two.stop()])
      await controlPlane.stop()
      await redis.stop()
    }
  })
})

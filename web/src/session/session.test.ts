import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { SignedIn } from '@wmoc/api/contracts/auth'
import { createSession, type Session, type SessionMessage } from './session.ts'

const USER = { id: 'u1', email: 'a@b.example' } as SignedIn['user']

interface Answer {
  readonly status?: number
}

/** Tabs of one browser: one cookie, one lock, one channel, one clock. */
function createBrowser(options: { answers?: Answer[] } = {}) {
  const world = { nowMs: 1_000_000, mark: null as number | null, exchanges: 0 }
  const tabs: Session[] = []
  let lock: Promise<unknown> = Promise.resolve()
  const answers = [...(options.answers ?? [])]

  function openTab(): Session {
    const states: string[] = []
    const tab: Session = createSession({
      async refresh() {
        world.exchanges += 1
        world.nowMs += 20
        const answer = answers.shift()
        if (answer?.status) throw Object.assign(new Error('refused'), { status: answer.status })
        if (answer) throw new TypeError('fetch failed')
        return { accessToken: `token-${world.exchanges}`, expiresIn: 900, user: USER }
      },
      exclusively(task) {
        const run = lock.then(task)
        lock = run.catch(() => {})
        return run
      },
      tell(message: SessionMessage) {
        for (const other of tabs) if (other !== tab) queueMicrotask(() => other.receive(message))
      },
      mark: { get: () => world.mark, set: (value) => (world.mark = value) },
      now: () => world.nowMs,
      sleep: async (ms) => {
        world.nowMs += ms
      },
      onChange: (state) => states.push(state.status),
    })
    tabs.push(tab)
    return tab
  }
  return { world, openTab }
}

const signedIn = (token: string): SignedIn => ({ accessToken: token, expiresIn: 900, user: USER })

suite('session', () => {
  test('asks the server nothing when nobody ever signed in here', async () => {
    const { world, openTab } = createBrowser()
    const tab = openTab()
    await tab.restore()
    assert.equal(tab.state().status, 'signed-out')
    assert.equal(await tab.getToken(), null)
    assert.equal(world.exchanges, 0)
  })

  test('gives the same token until it is about to run out, then a new one', async () => {
    const { world, openTab } = createBrowser()
    const tab = openTab()
    tab.accept(signedIn('first'))
    assert.equal(await tab.getToken(), 'first')
    world.nowMs += 900_000 - 15_000
    assert.equal(await tab.getToken(), 'token-1')
  })

  test('exchanges the cookie once for all waiting requests', async () => {
    const { world, openTab } = createBrowser()
    const tab = openTab()
    tab.accept(signedIn('old'))
    const tokens = await Promise.all(Array.from({ length: 20 }, () => tab.replaceToken('old')))
    assert.deepEqual(new Set(tokens), new Set(['token-1']))
    assert.equal(world.exchanges, 1)
  })

  test('exchanges the cookie once for all tabs', async () => {
    const { world, openTab } = createBrowser()
    const tabs = [openTab(), openTab(), openTab()]
    tabs[0]!.accept(signedIn('old'))
    await new Promise((done) => setImmediate(done))
    const tokens = await Promise.all(tabs.map((tab) => tab.renew()))
    assert.deepEqual(new Set(tokens), new Set(['token-1']))
    assert.equal(world.exchanges, 1)
  })

  test('does not exchange again for a request that was refused with the token before', async () => {
    const { world, openTab } = createBrowser()
    const tab = openTab()
    tab.accept(signedIn('new'))
    assert.equal(await tab.replaceToken('old'), 'new')
    assert.equal(world.exchanges, 0)
  })

  test('ends in all tabs when the server says that the session has ended', async () => {
    const { world, openTab } = createBrowser({ answers: [{ status: 401 }] })
    const [tab, other] = [openTab(), openTab()]
    tab.accept(signedIn('old'))
    await new Promise((done) => setImmediate(done))
    assert.equal(other.state().status, 'signed-in')
    assert.equal(await tab.renew(), null)
    await new Promise((done) => setImmediate(done))
    assert.equal(tab.state().status, 'signed-out')
    assert.equal(other.state().status, 'signed-out')
    assert.equal(world.mark, null)
  })

  test('stays signed in when nobody answered, and tries again when asked again', async () => {
    const { openTab } = createBrowser({ answers: [{}, { status: 503 }] })
    const tab = openTab()
    tab.accept(signedIn('old'))
    await assert.rejects(tab.renew(), TypeError)
    await assert.rejects(tab.renew())
    assert.equal(tab.state().status, 'signed-in')
    assert.equal(await tab.renew(), 'token-3')
  })

  test('tells all tabs of the end', async () => {
    const { openTab } = createBrowser()
    const [tab, other] = [openTab(), openTab()]
    tab.accept(signedIn('a'))
    await new Promise((done) => setImmediate(done))
    tab.end()
    await new Promise((done) => setImmediate(done))
    assert.equal(other.state().status, 'signed-out')
    assert.equal(await other.getToken(), null)
  })
})

/** What a device may answer and must not: every lie on every surface. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startHarness } from '#src/testing/harness.ts'
import type { Answer, Harness } from '#src/testing/harness.ts'
import { IN_FRAME, openFrame, served } from './testing/frames.ts'
import type { Served } from './testing/frames.ts'

const NAVIGATE = {
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'sec-fetch-site': 'none',
  accept: 'text/html',
}

/** How a person, or their program, gets to a path of the device. */
type Ask = (path: string, method?: string) => Promise<Answer>

interface Lie {
  readonly name: string
  readonly status?: unknown
  readonly headers?: unknown
  readonly body?: string
  readonly method?: string
  /** What the user gets: 502, an answer that visibly breaks off, one that is framed by us, or one without the lie. */
  readonly becomes: 'bad' | 'cut' | 'framed' | 'clean'
}

const HTML = { 'Content-Type': 'text/html' }
const many = (count: number, value: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`x-bomb-${index}`, value]))

const LIES: readonly Lie[] = [
  ...[0, 99, 100, 101, 103, 199, 600, 1_000, 200.5, '200', null, {}].map((status): Lie => ({
    name: `T3, P11: status ${JSON.stringify(status)}`,
    status,
    becomes: 'bad',
  })),
  {
    name: 'T1: a line break in a value',
    headers: { ...HTML, 'X-A': 'a\r\nSet-Cookie: x=1' },
    becomes: 'bad',
  },
  { name: 'T1: a line break in a name', headers: { ...HTML, 'X-A\r\nX-B': '1' }, becomes: 'bad' },
  { name: 'T1: NUL in a value', headers: { ...HTML, 'X-A': 'a\0b' }, becomes: 'bad' },
  { name: 'T1: an object as a value', headers: { ...HTML, 'X-A': { toString: 'x' } }, becomes: 'bad' },
  { name: 'a bomb of many headers', headers: { ...HTML, ...many(200, 'x') }, becomes: 'bad' },
  { name: 'a bomb of long headers', headers: { ...HTML, ...many(10, 'x'.repeat(4_000)) }, becomes: 'bad' },
  {
    name: 'a way out by Location',
    status: 302,
    headers: { Location: 'javascript:alert(1)' },
    becomes: 'bad',
  },
  {
    name: 'that it is away',
    headers: { ...HTML, 'X-Is': 'X-WMOC-Away' },
    body: '<p>here',
    becomes: 'framed',
  },
  {
    name: 'T2: more than it told',
    headers: { ...HTML, 'Content-Length': '3' },
    body: '<p>more than three',
    becomes: 'framed',
  },
  {
    name: 'T2: less than it told',
    headers: { ...HTML, 'Content-Length': '3000' },
    body: '<p>less',
    becomes: 'framed',
  },
  {
    name: 'T9: a coding that it has not',
    headers: { ...HTML, 'Content-Encoding': 'gzip' },
    body: '<p>not gzip at all',
    becomes: 'cut',
  },
  {
    name: 'T2: two lengths and a coding of the transfer',
    headers: { ...HTML, 'Content-Length': ['1', '2'], 'Transfer-Encoding': 'chunked' },
    body: '<p>whole',
    becomes: 'clean',
  },
  { name: 'T2: a body after 204', status: 204, headers: HTML, body: '<p>smuggled', becomes: 'clean' },
  { name: 'P14: a body after HEAD', headers: HTML, body: '<p>smuggled', method: 'HEAD', becomes: 'clean' },
  {
    name: 'P8: what it calls hop-by-hop',
    headers: { ...HTML, Connection: 'upgrade, x-content-type-options', Upgrade: 'h2c', 'Keep-Alive': 'x' },
    body: '<p>',
    becomes: 'clean',
  },
]

for (const surface of ['api', 'own origin', 'frame'] as const)
  suite(`a lying device, ${surface}`, () => {
    let harness: Harness
    let home: Served
    let ask: Ask

    before(async () => {
      harness = await startHarness(surface === 'frame' ? { DEVICE_DOMAIN: '' } : {})
      home = await served(harness)
      ask = await wayTo(home)
    })
    after(() => harness.stop())

    async function wayTo({ id, person, known }: Served): Promise<Ask> {
      if (surface === 'api') return (path, method = 'GET') => harness.api(person, id, { path, method })
      if (surface === 'frame') {
        const { src } = await openFrame(harness, id, person)
        return (path, method = 'GET') => harness.ask({ path: src + path.slice(1), method, headers: IN_FRAME })
      }
      const left = await harness.ask({
        path: `/c/${id}/`,
        headers: { ...NAVIGATE, cookie: `__Host-wmoc_refresh=${person.refreshToken}` },
      })
      const url = new URL(left.headers.location!)
      const entered = await harness.ask({
        host: url.host,
        path: url.pathname + url.search,
        headers: NAVIGATE,
      })
      const cookie = entered.headers['set-cookie']![0]!.split(';')[0]!
      const host = `${known.record.pageLabel}.localhost:8080`
      return (path, method = 'GET') => harness.ask({ host, path, method, headers: { ...NAVIGATE, cookie } })
    }

    for (const [index, lie] of LIES.entries())
      test(`${lie.name} is ${lie.becomes}`, async () => {
        home.device.serve(() => ({
          status: lie.status === undefined ? 200 : lie.status,
          headers: lie.headers ?? HTML,
          body: lie.body ?? '<p>x',
        }))
        const answer = await ask(`/lie-${index}`, lie.method).catch(() => null)
        const isBad = answer?.status === 502 && answer.text.includes('bad_device_response')
        if (lie.becomes === 'bad') assert.ok(isBad, `${answer?.status} ${answer?.text}`)
        else if (lie.becomes === 'cut') {
          // Where nobody looks into the body, it is the browser that finds it out.
          const isUnread = surface !== 'frame' && answer?.headers['content-encoding'] === 'gzip'
          assert.ok(answer === null || answer.isCut || isBad || isUnread, answer?.text)
        } else {
          assert.ok(answer !== null && !answer.isCut)
          assert.ok(lie.becomes !== 'framed' || answer.text.endsWith(lie.body!), answer.text)
          assert.ok(!answer.text.includes('smuggled'), answer.text)
          for (const name of ['upgrade', 'x-a', 'x-b']) assert.equal(answer.headers[name], undefined)
          assert.equal(answer.headers['x-content-type-options'], 'nosniff')
        }
        assert.equal(answer?.headers['set-cookie'], undefined)
        // The next person's answer is their own.
        home.device.serve(() => ({ headers: { 'Content-Type': 'text/plain' }, body: 'honest' }))
        assert.equal((await ask(`/honest-${index}`)).text, 'honest')
      })

    test('Basic realm theft: no challenge of it reaches a browser', async () => {
      home.device.serve(() => ({
        status: 401,
        headers: { 'WWW-Authenticate': 'Basic realm="WMOC portal"', 'Content-Type': 'text/html' },
        body: 'give',
      }))
      const answer = await ask('/private')
      if (surface !== 'api') assert.equal(answer.headers['www-authenticate'], undefined)
      assert.ok(answer.status === 401 || answer.status === 200, String(answer.status))
      assert.equal(answer.headers['proxy-authenticate'], undefined)
    })
  })

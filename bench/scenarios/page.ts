/** What the gateway spares a small device, in a real browser: a page of forty parts, with and without what it keeps. */
import { request as httpRequest } from 'node:http'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import type { PageCacheMode } from '@wmoc/protocol/control-plane'
import { startCluster } from '../gateway.ts'
import type { BenchCluster } from '../gateway.ts'
import type { Cell, Context, Scenario } from '../plan.ts'
import { median } from '../stats.ts'
import { BYTES_PER_SEC, REQUEST_MS, startSmallDevice, STREAMS } from '../subjects/small-device.ts'
import type { SmallDevice } from '../subjects/small-device.ts'

const PORTAL_HOST = 'localhost:8080'
const HOST = '127.0.0.1'
const TABS = 10
const READY_MS = 600_000

const VISITS = ['first visit', 'second visit', 'another browser', 'another person', `${TABS} tabs`] as const
type Visit = (typeof VISITS)[number]
const MODES: readonly { mode: PageCacheMode; name: string }[] = [
  { mode: 'off', name: 'nothing kept' },
  { mode: 'private', name: 'kept for each person' },
  { mode: 'public', name: 'kept for everybody' },
]

interface Look {
  readonly requests: number
  readonly bytes: number
  readonly readyMs: number
}

export const page: Scenario = {
  name: 'page',
  help: 'a page of forty parts through a small device, in Chromium: what reaches the device, time until it works',
  async run(context: Context) {
    const cluster = await startCluster(1, { DEVICE_DOMAIN: PORTAL_HOST })
    const { port } = cluster.gateways[0]!
    const browser = await openBrowser({
      flags: [`--host-resolver-rules=MAP *:8080 ${HOST}:${port}`],
    })
    const looks = new Map<string, Look[]>()
    for (let round = 0; round < context.rounds; round += 1) {
      for (const { mode, name } of MODES) {
        context.log(`page, ${name}`)
        for (const [kind, look] of await visitAll(cluster, browser, mode)) {
          const key = `${name} ${kind}`
          looks.set(key, [...(looks.get(key) ?? []), look])
        }
      }
    }
    await browser.close()
    await cluster.stop()
    return {
      title: 'A page through a small device',
      about:
        `A page of 40 parts (180 KB; scripts and styles with a hash in their names, pictures with an ETag) and one question by its script, ` +
        `from a simulated device with ${STREAMS} streams that takes ${REQUEST_MS} ms for a request and sends ${BYTES_PER_SEC / 1_000} KB a second, one thing at a time; ` +
        `opened on its own origin in Chromium. Requests and bytes are those that reached the device; ready is when the page has loaded and its script has its answer, of ${TABS} tabs the slowest. Medians of ${context.rounds} rounds.`,
      headings: ['', ...VISITS.flatMap((kind) => [`${kind}: requests`, 'KB', 'ready ms'])],
      rows: MODES.map(({ name }): Cell[] => [
        name,
        ...VISITS.flatMap((kind) => {
          const all = looks.get(`${name} ${kind}`)!
          const of = (read: (look: Look) => number) => median(all.map(read))
          return [
            of(({ requests }) => requests),
            (of(({ bytes }) => bytes) / 1_000).toFixed(1),
            of(({ readyMs }) => readyMs).toFixed(0),
          ]
        }),
      ]),
      notes: [
        '**second visit**: in the browser that has the page; **another browser**: of the same person, empty; **10 tabs**: at once, of a device that nobody has looked at yet.',
      ],
      figures: {},
    }
  },
}

/** All visits in their order; the tabs at a device of their own. */
async function visitAll(
  cluster: BenchCluster,
  browser: TestBrowser,
  mode: PageCacheMode,
): Promise<Map<Visit, Look>> {
  const { controlPlane } = cluster
  const { port } = cluster.gateways[0]!
  const url = `ws://${HOST}:${port}/tunnel`
  const known = controlPlane.addController(mode)
  const fresh = controlPlane.addController(mode)
  const devices = [await startSmallDevice(url, known), await startSmallDevice(url, fresh)] as const
  const [owner, other] = [controlPlane.addPerson(), controlPlane.addPerson()]
  const enter = (controllerId: string, { refreshToken }: { refreshToken: string }) =>
    entrance(port, controllerId, refreshToken)
  const looks = new Map<Visit, Look>()

  const first = await browser.newContext()
  const { controllerId } = known
  looks.set('first visit', await visit(first, devices[0], [await enter(controllerId, owner)]))
  looks.set('second visit', await visit(first, devices[0], [await enter(controllerId, owner)]))
  await first.close()
  for (const [kind, person] of [
    ['another browser', owner],
    ['another person', other],
  ] as const) {
    const empty = await browser.newContext()
    looks.set(kind, await visit(empty, devices[0], [await enter(controllerId, person)]))
    await empty.close()
  }
  // Ten browsers rather than one: a browser that has the page by itself asks for it once anyway.
  const tabs = await Promise.all(Array.from({ length: TABS }, () => browser.newContext()))
  const doors = await Promise.all(tabs.map(() => enter(fresh.controllerId, owner)))
  const all = await Promise.all(tabs.map((tab, at) => ready(tab, doors[at]!)))
  looks.set(VISITS[4], { ...devices[1].takeFigures(), readyMs: Math.max(...all) })
  await Promise.all(tabs.map((tab) => tab.close()))
  for (const device of devices) await device.stop()
  return looks
}

async function visit(context: WatchedContext, device: SmallDevice, [door]: [string]): Promise<Look> {
  device.takeFigures()
  const readyMs = await ready(context, door)
  return { ...device.takeFigures(), readyMs }
}

/** Opens the page; milliseconds from its navigation until it works. */
async function ready(context: WatchedContext, door: string): Promise<number> {
  const tab = await context.newPage()
  await tab.goto(door, { timeout: READY_MS })
  const value = await tab.waitForFunction('window.readyMs', undefined, { timeout: READY_MS })
  const readyMs = (await value.jsonValue()) as number
  await tab.close()
  return readyMs
}

/** Where the portal's address of a page leads this person. */
function entrance(port: number, controllerId: string, refreshToken: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = {
      host: PORTAL_HOST,
      cookie: `__Host-wmoc_refresh=${refreshToken}`,
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      'sec-fetch-site': 'none',
    }
    const request = httpRequest({ host: HOST, port, path: `/c/${controllerId}/`, headers }, (response) => {
      response.resume()
      const { location } = response.headers
      if (location === undefined) reject(new Error(`the gateway answered ${response.statusCode}`))
      else resolve(location)
    })
    request.on('error', reject)
    request.end()
  })
}

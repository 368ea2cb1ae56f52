/** A hostile controller, a neighbour of the same owner, and the owner's browser with the portal open in a tab. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import type { Cookie, Frame, Page, Response } from 'playwright-core'
import { openSignedIn, overviewShown } from './browser.ts'
import { openDatabase } from './database.ts'
import type { Database } from './database.ts'
import { claimDevice } from './device.ts'
import type { OwnDevice } from './device.ts'
import { hostileAnswer } from './hostile-device.ts'
import { openStack } from './stack.ts'
import type { Person, TestStack } from './stack.ts'

const OWNER = 'owner@wmoc.example'

export interface HostileStage {
  readonly platform: TestStack
  readonly database: Database
  readonly browser: TestBrowser
  readonly watched: WatchedContext
  readonly owner: Person
  readonly hostile: OwnDevice
  readonly neighbour: OwnDevice
  /** The portal's tab. */
  readonly portal: Page
  /** A server of somebody else, and with what headers it was asked. */
  readonly elsewhere: { readonly url: string; readonly requests: readonly IncomingHttpHeaders[] }
  /** Method and path of what reached the neighbour, without what the browser asks a shown origin for by itself. */
  reachedNeighbour(): string[]
  /** Waits until the portal, loaded anew, shows that its owner is still signed in. */
  isSignedIn(): Promise<void>
  /** One line for each of the portal's cookies. */
  portalCookies(describe: (cookie: Cookie) => string): Promise<string[]>
  stop(): Promise<void>
}

/** @param env Of the platform. */
export async function openHostileStage(env: Readonly<Record<string, string>> = {}): Promise<HostileStage> {
  const requests: IncomingHttpHeaders[] = []
  const server = createServer((request, response) => {
    requests.push(request.headers)
    response.end()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const [platform, browser] = await Promise.all([openStack(env), openBrowser()])
  const database = await openDatabase(platform)
  const owner = await platform.signIn(OWNER)
  const hostile = await claimDevice(platform, owner, { name: 'Waiting', answer: hostileAnswer })
  const neighbour = await claimDevice(platform, owner, {
    name: 'Neighbour',
    answer: () => ({ body: 'neighbour' }),
  })
  const watched = await browser.newContext({ locale: 'en-GB' })
  const portal = await openSignedIn(platform, watched, OWNER)
  return {
    platform,
    database,
    browser,
    watched,
    owner,
    hostile,
    neighbour,
    portal,
    elsewhere: { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, requests },
    reachedNeighbour: () =>
      neighbour.requests
        .map(({ method, path }) => `${method} ${path}`)
        .filter((call) => !call.endsWith('/favicon.ico')),
    async isSignedIn() {
      await portal.reload()
      await overviewShown(portal)
    },
    async portalCookies(describe) {
      return (await watched.context.cookies(platform.url)).map(describe).toSorted()
    },
    async stop() {
      await browser.close()
      await Promise.all([hostile.stop(), neighbour.stop()])
      await database.close()
      await platform.stop()
      server.closeAllConnections()
      server.close()
    },
  }
}

/** Runs hostile code in a page: what it returns as text, or the name of the error it met. */
export const attackIn = (view: Page | Frame, code: string): Promise<string> => view.evaluate(outcomeOf(code))

/** The expression of it. */
export const outcomeOf = (code: string): string =>
  `(async () => { try { return String(await (async () => { ${code} })()) } catch (e) { return e.name } })()`

/** Runs it and answers what the tab got meanwhile, and a little later. */
export async function answersTo(tab: Page, act: () => Promise<unknown>): Promise<Response[]> {
  const answers: Response[] = []
  const listen = (response: Response) => void answers.push(response)
  tab.on('response', listen)
  await act()
  await tab.waitForTimeout(400)
  tab.off('response', listen)
  return answers
}

/** Hostile code that puts an address into a frame of its page, and returns the text that it can read there. */
export const framed = (url: string): string => `
  const frame = document.createElement('iframe')
  const loaded = new Promise((resolve) => { frame.onload = resolve; setTimeout(resolve, 60000) })
  frame.src = '${url}'
  document.body.append(frame)
  await loaded
  try { return frame.contentWindow.document.body.textContent } catch (error) { return error.name }`

/** Hostile code, piece by piece, each of which would have the person's own browser change something there. */
export const forged = (url: string): string[] => [
  `await fetch('${url}', { method: 'POST', mode: 'no-cors', credentials: 'include', body: '{"name":"x"}' })`,
  `await fetch('${url}', { method: 'DELETE', credentials: 'include' })`,
  `navigator.sendBeacon('${url}', new Blob(['{}'], { type: 'text/plain' }))`,
  `document.body.innerHTML = '<form method="post" enctype="text/plain" action="${url}"><input name="{&quot;a" value="b&quot;:1}"></form>'
   document.querySelector('form').submit()`,
]

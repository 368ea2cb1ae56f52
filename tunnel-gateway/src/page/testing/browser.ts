/** Device pages in a real browser: a gateway with one host name, and the portal's shell reduced to what a page meets of it. */
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import type { Frame, Page } from 'playwright-core'
import { PORTAL_HOST, startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import type { Person } from '#src/testing/control-plane-server.ts'
import { FRAME_SANDBOX } from '#src/user/frame-answer.ts'
import { openFrame } from './frames.ts'

export interface BrowserStage {
  readonly harness: Harness
  readonly browser: TestBrowser
  /** The page of this controller in the shell's frame, as this person gets it, in a browser of their own. */
  show(id: string, person: Person): Promise<Shown>
  stop(): Promise<void>
}

export interface Shown extends WatchedContext {
  readonly shell: Page
  readonly frame: Frame
  /** The frame's address. */
  readonly src: string
}

/** @param hosts Ports of other gateways that Chromium finds at these hosts. */
export async function openBrowserStage(hosts: Readonly<Record<string, number>> = {}): Promise<BrowserStage> {
  const harness = await startHarness({ DEVICE_DOMAIN: '' })
  const rules = Object.entries({ [PORTAL_HOST]: harness.port, ...hosts })
    .map(([host, port]) => `MAP ${host} 127.0.0.1:${port}`)
    .join()
  const browser = await openBrowser({ flags: [`--host-resolver-rules=${rules}`] })
  return {
    harness,
    browser,
    async show(id, person) {
      const { src } = await openFrame(harness, id, person)
      const watched = await browser.newContext()
      const shell = await watched.newPage()
      await shell.route('**/open/**', (route) =>
        route.fulfill({
          contentType: 'text/html',
          body: `<iframe sandbox="${FRAME_SANDBOX}" src="${src}" style="width:100%;height:600px"></iframe>`,
        }),
      )
      await shell.goto(`http://${PORTAL_HOST}/open/${id}/`)
      const element = await shell.waitForSelector('iframe')
      return { ...watched, shell, src, frame: (await element.contentFrame())! }
    },
    async stop() {
      await browser.close()
      await harness.stop()
    },
  }
}

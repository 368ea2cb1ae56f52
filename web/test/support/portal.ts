/** The portal as people meet it: the real platform behind it, the real browser before it. */
import { openBrowser, type TestBrowser, type WatchedContext } from '@wmoc/testkit/chromium'
import type { BrowserContextOptions, Page } from 'playwright-core'
import { openStack, type TestStack } from '../../../e2e/support/stack.ts'

export interface Look {
  readonly theme: 'light' | 'dark'
  readonly locale: 'en' | 'ru'
}

export interface Portal {
  readonly stack: TestStack
  readonly browser: TestBrowser
  /** A browser of its own for one person, signed out, with the portal's address as base. */
  visit(look?: Partial<Look>, options?: BrowserContextOptions): Promise<Visit>
  close(): Promise<void>
}

export interface Visit extends WatchedContext {
  readonly page: Page
  /** By a one-time link, to the overview. */
  signIn(email: string): Promise<void>
  go(path: string): Promise<void>
}

/** `flags` go to Chromium, `gatewayEnv` to the gateways. */
export async function openPortal(
  options: { flags?: readonly string[]; gatewayEnv?: Readonly<Record<string, string>> } = {},
): Promise<Portal> {
  const { flags, gatewayEnv } = options
  const [stack, browser] = await Promise.all([openStack({}, { gatewayEnv }), openBrowser({ flags })])
  let lastSignIn: Promise<unknown> = Promise.resolve()
  return {
    stack,
    browser,
    async visit(look = {}, contextOptions = {}) {
      const watched = await browser.newContext({
        baseURL: stack.url,
        locale: look.locale === 'ru' ? 'ru-RU' : 'en-GB',
        colorScheme: look.theme ?? 'light',
        ...contextOptions,
      })
      const page = await watched.newPage()
      return {
        ...watched,
        page,
        signIn(email) {
          // A new link of the same person ends the one before.
          const turn = lastSignIn.then(async () => {
            await page.goto(await stack.signInLink(email))
            await page.waitForURL((url) => url.pathname === '/')
            await page.locator('main h1').waitFor()
          })
          lastSignIn = turn.catch(() => {})
          return turn
        },
        async go(path) {
          await page.goto(path)
        },
      }
    },
    async close() {
      await browser.close()
      await stack.stop()
    },
  }
}

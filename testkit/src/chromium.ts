/** The system's Chromium under test: what the page complains about is collected, never overlooked. */
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Frame, Page } from 'playwright-core'
import { findProgram } from '../../scripts/start/leash.ts'
import { until } from './until.ts'

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
]

/** The machine may be busy with much else. */
const TIMEOUT_MS = 60_000

export interface WatchedContext {
  readonly context: BrowserContext
  /** Console errors, uncaught errors and CSP violations of all its pages, one line each. */
  readonly problems: readonly string[]
  newPage(): Promise<Page>
  close(): Promise<void>
}

export interface TestBrowser {
  readonly browser: Browser
  newContext(options?: BrowserContextOptions): Promise<WatchedContext>
  close(): Promise<void>
}

/** Starts Chromium (`$CHROMIUM`, else from the PATH) without a window; `flags` are added to the usual ones. */
export async function openBrowser(options: { flags?: readonly string[] } = {}): Promise<TestBrowser> {
  const executablePath = process.env['CHROMIUM'] ?? findProgram('chromium') ?? findProgram('google-chrome')
  if (!executablePath) throw new Error('chromium is not installed: apt-get install -y chromium')
  const browser = await chromium.launch({
    executablePath,
    headless: true,
    args: [...FLAGS, ...(options.flags ?? [])],
  })
  return {
    browser,
    newContext: (contextOptions) => watchedContext(browser, contextOptions),
    close: () => browser.close(),
  }
}

async function watchedContext(browser: Browser, options?: BrowserContextOptions): Promise<WatchedContext> {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  context.setDefaultTimeout(TIMEOUT_MS)
  const problems: string[] = []
  context.on('console', (message) => {
    if (message.type() !== 'error') return
    const where = message.location().url
    problems.push(`console: ${message.text()}${where ? ` (${where})` : ''}`)
  })
  context.on('weberror', (event) => problems.push(`uncaught: ${event.error().message}`))
  await context.exposeBinding(
    'reportCspViolation',
    (_source, text: string) => void problems.push(`csp: ${text}`),
  )
  await context.addInitScript(`document.addEventListener('securitypolicyviolation', (event) =>
    window.reportCspViolation(event.violatedDirective + ' blocked ' + event.blockedURI + ' at ' + event.sourceFile))`)
  return { context, problems, newPage: () => context.newPage(), close: () => context.close() }
}

/**
 * Waits until an expression is true in whatever page is there. Asked from outside each time: a page whose policy forbids
 * `eval` throws at `waitForFunction`, and a page of ours may be there for a moment.
 */
export async function untilTrue(view: Page | Frame, expression: string): Promise<void> {
  const isTrue = async () => {
    try {
      return Boolean(await view.evaluate(expression))
    } catch {
      // On its way to another page, or the expression is not of this one.
      return false
    }
  }
  await until(isTrue, 120_000, 50).catch(() => {
    throw new Error(`never true at ${view.url()}: ${expression}`)
  })
}

/** The system's Chromium under test: what the page complains about is collected, never overlooked. */
import { chromium } from 'playwright-core'
import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core'
import { findProgram } from '../../scripts/start/leash.ts'

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
  context.setDefaultTimeout(10_000)
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

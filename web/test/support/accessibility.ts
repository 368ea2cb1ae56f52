import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { untilTrue } from '@wmoc/testkit/chromium'
import type { Page } from 'playwright-core'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']

interface Finding {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** Waits until nothing on the page is on its way: a colour half way to another is one that nobody chose. */
export async function settled(page: Page): Promise<void> {
  await untilTrue(
    page,
    `document.getAnimations().every((one) => one.playState !== 'running' || one.effect?.getTiming().iterations === Infinity)`,
  )
}

/** What axe finds against WCAG 2.2 A and AA on the page once it stands still, one line a finding. */
export async function violations(page: Page): Promise<string[]> {
  await settled(page)
  // Evaluated over the protocol, so the page's own CSP stays as strict as it is.
  await page.evaluate(source)
  const found: Finding[] = await page.evaluate(
    `axe.run(document, { runOnly: ${JSON.stringify(TAGS)} }).then((result) => result.violations)`,
  )
  return found.flatMap(({ id, nodes }) =>
    nodes.map(
      (node) => `${id}: ${node.html.slice(0, 200)} — ${node.failureSummary?.split('\n')[1]?.trim() ?? ''}`,
    ),
  )
}

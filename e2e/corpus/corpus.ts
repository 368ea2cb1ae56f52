/** Every fixture device on one platform, its page used by a person in Chromium. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { CORPUS_NAMES } from '@wmoc/device-sim/corpus/index'
import { artefact } from '@wmoc/testkit/artefacts'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import { openStack } from '../support/stack.ts'
import type { Person, TestStack } from '../support/stack.ts'
import { JOURNEYS } from './journeys.ts'
import type { View } from './journeys.ts'
import type { Page } from 'playwright-core'

export interface Surface {
  readonly name: string
  readonly env: Readonly<Record<string, string>>
  /** Where the device's page is, once the tab has gone to its address. */
  viewOf(tab: Page): Promise<View>
}

/** Small devices have no icon, and browsers ask; what has the focus in a frame is for the person to say. */
const HARMLESS = /\/favicon\.ico|Blocked autofocusing/

/** A test for each fixture device. */
export function openCorpus({ name: surface, env, viewOf }: Surface): void {
  suite(`pages of well-known firmwares, ${surface}`, () => {
    let platform: TestStack
    let browser: TestBrowser
    let watched: WatchedContext
    let owner: Person

    before(async () => {
      ;[platform, browser] = await Promise.all([openStack(env), openBrowser()])
      owner = await platform.signIn('owner@wmoc.example')
      watched = await browser.newContext({ locale: 'en-GB' })
      // Pages of many files, through one small device, on a machine that does much else.
      watched.context.setDefaultTimeout(60_000)
      watched.context.setDefaultTimeout(30_000)
      const portal = await watched.newPage()
      await portal.goto(await platform.signInLink('owner@wmoc.example'))
      await portal.getByRole('heading', { name: /Overview|Hello/ }).waitFor()
    })
    after(async () => {
      await browser?.close()
      await platform?.stop()
    })

    for (const name of CORPUS_NAMES) {
      test(`${name} works`, async () => {
        const { path, walk } = JOURNEYS[name]
        const { id, sim } = await platform.claimSim(owner, {
          state: name,
          name,
          args: ['--page', name, '--report', '0'],
        })
        const tab = await watched.newPage()
        const problems = watched.problems.length
        await tab.goto(`${platform.url}/c/${id}${path}`, { waitUntil: 'commit' })
        try {
          await walk(await viewOf(tab))
        } finally {
          await tab.screenshot({
            path: artefact('screens', 'corpus', `${surface.replaceAll(' ', '-')}-${name}.png`),
          })
        }
        const found = watched.problems.slice(problems).filter((problem) => !HARMLESS.test(problem))
        await tab.close()
        await sim.stop()
        assert.deepEqual(found, [])
      })
    }
  })
}

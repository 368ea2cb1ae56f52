/** Every fixture device on one platform, its page used by a person in Chromium. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { CORPUS_NAMES } from '@wmoc/device-sim/corpus/index'
import { artefact } from '@wmoc/testkit/artefacts'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import { openSignedIn } from '../support/browser.ts'
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
      await openSignedIn(platform, watched, owner.email)
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

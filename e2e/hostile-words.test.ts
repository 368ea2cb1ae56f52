/** What a controller calls itself, logs, measures and answers, shown to its owner by the portal. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { openBrowser } from '@wmoc/testkit/chromium'
import type { TestBrowser, WatchedContext } from '@wmoc/testkit/chromium'
import type { Page } from 'playwright-core'
import { openSignedIn } from './support/browser.ts'
import { claimDevice } from './support/device.ts'
import type { OwnDevice } from './support/device.ts'
import { hostileAnswer, hostileWords } from './support/hostile-device.ts'
import { eventually, openStack } from './support/stack.ts'
import type { Person, TestStack } from './support/stack.ts'

suite('the words of a hostile device', () => {
  let platform: TestStack
  let browser: TestBrowser
  let watched: WatchedContext
  let portal: Page
  let owner: Person
  let device: OwnDevice

  before(async () => {
    ;[platform, browser] = await Promise.all([openStack(), openBrowser()])
    owner = await platform.signIn('owner@wmoc.example')
    device = await claimDevice(platform, owner, {
      name: 'Waiting',
      answer: hostileAnswer,
      description: {
        model: hostileWords('model'),
        firmware_version: hostileWords('fw').slice(0, 50),
        'note<b>': hostileWords('note'),
      },
    })
    watched = await browser.newContext({ locale: 'en-GB' })
    portal = await openSignedIn(platform, watched, owner.email)
  })
  after(async () => {
    await browser?.close()
    await device?.stop()
    await platform?.stop()
  })

  test('O12: its words are text in the portal, wherever they are shown, and break no policy', async () => {
    const id = device.id
    await owner.api.controllers.update({ params: { id }, body: { name: hostileWords('name') } })
    device.simulator.log('error', hostileWords('line'))
    device.simulator.report({ [hostileWords('m').slice(0, 50)]: 1 })
    const { id: commandId } = await owner.api.commands.send({
      params: { id },
      body: { name: 'echo', params: { said: hostileWords('result') } },
    })
    await owner.api.commands.send({ params: { id }, body: { name: 'fail' } })
    await eventually(async () => {
      const { state } = await owner.api.commands.get({ params: { id, commandId } })
      const { items } = await owner.api.notifications.list({ query: { type: 'command_failed' } })
      return state === 'acknowledged' && items.length > 0
    }, 'results and a notification')

    const places: readonly [path: string, ...words: string[]][] = [
      ['/', hostileWords('name')],
      ['/controllers', hostileWords('name')],
      [
        `/controllers/${id}`,
        hostileWords('name'),
        hostileWords('model'),
        hostileWords('fw').slice(0, 50),
        'note<b>',
      ],
      [`/controllers/${id}/metrics`, hostileWords('m').slice(0, 50)],
      [`/controllers/${id}/logs`, hostileWords('line')],
      [`/controllers/${id}/commands`, 'onerror'],
      [`/controllers/${id}/settings`],
      ['/notifications', hostileWords('name')],
    ]
    for (const [path, ...words] of places) {
      await portal.goto(`${platform.url}${path}`)
      for (const word of words) await portal.getByText(word).first().waitFor()
      assert.equal(await portal.evaluate('window.pwned'), undefined, path)
      assert.equal(await portal.locator('img[src="x"], [onerror]').count(), 0, path)
      assert.ok(!(await portal.content()).includes('<img src="x"'), path)
    }
    assert.deepEqual(watched.problems, [])
  })
})

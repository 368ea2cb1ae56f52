import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { announceTo } from '#src/page/testing/frames.ts'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import type { Person } from '#src/testing/control-plane-server.ts'

suite('what is under way, when a word of the API comes', { timeout: 120_000 }, () => {
  let harness: Harness
  before(async () => {
    // Whatever is asked, is asked anew; and nothing is by itself.
    harness = await startHarness({ ACCESS_FRESH_MS: '1', ACCESS_SWEEP_MS: '3600000' })
  })
  after(() => harness.stop())

  /** Events that go on, of so many people, each of them at the same controller. */
  async function watched(count: number) {
    const known = harness.controlPlane.addController()
    const { controllerId } = known.record
    const device = await harness.online(known, { max_streams: 16 })
    device.serve(() => ({
      headers: { 'Content-Type': 'text/event-stream' },
      body: 'data: 1\n\n',
      more: true,
    }))
    const people: Person[] = []
    const ended: Promise<unknown>[] = []
    for (let at = 0; at < count; at += 1) {
      const person = await harness.controlPlane.addPerson()
      harness.controlPlane.grant(person, controllerId)
      people.push(person)
      const asked = httpRequest({
        host: '127.0.0.1',
        port: harness.port,
        path: `/c/${controllerId}/events`,
        headers: { host: 'localhost:8080', authorization: `Bearer ${person.accessToken}` },
        agent: false,
      })
      asked.end()
      const [events] = (await once(asked, 'response')) as [IncomingMessage]
      await once(events, 'data')
      events.on('error', () => undefined).resume()
      ended.push(new Promise((resolve) => void events.once('close', resolve)))
    }
    return { controllerId, people, ended }
  }

  test('U7: ends with the sign-in session, also where the word of that was lost', async () => {
    const { controllerId, people, ended } = await watched(1)
    const { sessionId, userId } = people[0]!
    harness.controlPlane.sessions.delete(sessionId)
    await announceTo(harness, { type: 'access_changed', userId, controllerId })
    await ended[0]
  })

  test('U7: is judged for whom the word is of, and waits for nobody else', async () => {
    const { controllerId, people, ended } = await watched(5)
    for (const at of [0, 3, 4]) harness.controlPlane.roles.delete(`${people[at]!.userId} ${controllerId}`)
    for (const at of [3, 4]) {
      await announceTo(harness, { type: 'access_changed', userId: people[at]!.userId, controllerId })
      await ended[at]
    }
    // The first one's word is still to come.
    const first = ended[0]!.then(() => 'over')
    assert.equal(await Promise.race([first, sleep(200, 'goes on')]), 'goes on')
  })
})

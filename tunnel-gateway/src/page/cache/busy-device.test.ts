import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startHarness } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { addController, look } from './testing/looker.ts'

suite('a page of many parts through four streams', () => {
  let harness: Harness
  before(async () => {
    harness = await startHarness()
  })
  after(() => harness.stop())

  test('comes whole for several people at once: whoever has to wait does, and is not refused', async () => {
    const known = addController(harness)
    const device = await harness.online(known, { max_req_header: 2_048, max_streams: 4 })
    let working = 0
    let most = 0
    device.serve(({ id, path }) => {
      working += 1
      most = Math.max(most, working)
      setTimeout(() => {
        working -= 1
        device.send({ type: 'http_response', id, status: 200, headers: {}, body: path })
      }, 5)
      return null
    })
    const people = await Promise.all([look(harness, known), look(harness, known), look(harness, known)])
    const parts = Array.from({ length: 40 }, (_, at) => `/part${at}.css`)
    const answers = await Promise.all(people.flatMap(({ load }) => parts.map((path) => load(path))))
    assert.deepEqual(
      answers.map(({ status, text }) => `${status} ${text}`),
      people.flatMap(() => parts.map((path) => `200 ${path}`)),
    )
    assert.equal(most, 4)
  })
})

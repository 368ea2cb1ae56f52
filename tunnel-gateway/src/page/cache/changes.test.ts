import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startCluster } from '#src/testing/cluster.ts'
import type { Cluster } from '#src/testing/cluster.ts'
import { until } from '#src/testing/harness.ts'
import type { Harness } from '#src/testing/harness.ts'
import { addController, askedFor, look } from './testing/looker.ts'

const NAMED = '/app.3f9a1c2be4.js'

suite('what changes something at a device', () => {
  let cluster: Cluster
  /** Where the device is, … */
  let here: Harness
  /** … and where somebody looks at its page. */
  let there: Harness
  before(async () => {
    cluster = await startCluster(2)
    ;[here, there] = cluster.shards as [Harness, Harness]
  })
  after(() => cluster.stop())

  /** A page that is kept there, and how often the device was asked for a part of it. */
  async function kept(pageCache: 'private' | 'public' | 'off' = 'private') {
    const known = addController(here, { pageCache })
    const device = await here.online(known, { max_req_header: 2_048, max_streams: 16 })
    device.serve(({ method, path }) =>
      method === 'GET'
        ? {
            headers: {
              'Cache-Control': path === NAMED ? 'max-age=600, immutable' : 'max-age=600',
              ETag: `"${path}"`,
            },
            body: path,
          }
        : { status: path === '/refused' ? 409 : 204 },
    )
    const owner = await look(there, known)
    const times = (path: string) => askedFor(device.received, path)
    const { controllerId } = known.record
    const api = (shard: Harness, method: string, path: string) =>
      shard.api(owner.person, controllerId, { method, path, ...(method === 'DELETE' ? {} : { body: '1' }) })
    return { known, owner, times, api }
  }

  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    test(`by a program's ${method}, here or on another shard, outdates what is kept of its page`, async () => {
      const { owner, times, api } = await kept()
      for (const shard of [there, here]) {
        await owner.load('/state')
        const asked = times('/state')
        assert.equal((await owner.load('/state')).text, '/state')
        assert.equal(times('/state'), asked)
        assert.equal((await api(shard, method, '/set')).status, 204)
        // The word takes its way to the other shard; nothing else makes what is kept for ten minutes old.
        await until(async () => (await owner.load('/state')).status === 200 && times('/state') > asked)
      }
    })

  test('by another person’s page on another shard does, too', async () => {
    const { known, owner, times } = await kept('public')
    const other = await look(here, known)
    await owner.load('/state')
    assert.equal((await other.script('/set', { method: 'POST', body: '1' })).status, 204)
    await until(async () => (await owner.load('/state')).status === 200 && times('/state') > 1)
  })

  test('leaves what never changes, and leaves all where the device refused it', async () => {
    const { owner, times, api } = await kept()
    for (const path of ['/state', NAMED]) await owner.load(path)
    assert.equal((await api(there, 'POST', '/refused')).status, 409)
    await owner.load('/state')
    assert.equal(times('/state'), 1)
    assert.equal((await api(there, 'POST', '/set')).status, 204)
    for (const path of ['/state', NAMED]) await owner.load(path)
    assert.deepEqual([times('/state'), times(NAMED)], [2, 1])
  })

  test('many times in a moment is told more than once, and of the last, too', async () => {
    const { owner, times, api } = await kept()
    for (let round = 0; round < 20; round += 1) {
      await owner.load('/state')
      await api(here, 'POST', '/set')
    }
    const asked = times('/state')
    await until(async () => (await owner.load('/state')).status === 200 && times('/state') > asked)
  })
})

import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startApi } from '#src/testing/harness.ts'
import type { TestApi } from '#src/testing/harness.ts'
import type { NewView } from './contract.ts'
import { createControllerViews, MAX_VIEWS } from './views.ts'

const FILTERS: NewView['filters'] = { q: 'boil', status: 'offline', tags: ['cellar'], sort: '-lastSeenAt' }

suite('views of the list', () => {
  let under: TestApi
  before(async () => {
    under = await startApi({ worker: false })
  })
  after(() => under.close())

  const person = async () => under.client(await under.buildUser()).controllers

  test('are kept for the one who made them, by name, until he removes them', async () => {
    const [mine, theirs] = [await person(), await person()]
    const cellar = await mine.createView({ body: { name: ' Cellar ', filters: FILTERS } })
    assert.equal(cellar.name, 'Cellar')
    assert.deepEqual(cellar.filters, FILTERS)
    await mine.createView({ body: { name: 'attic', filters: { ...FILTERS, tags: [], status: null } } })
    assert.deepEqual(
      (await mine.listViews()).items.map(({ name }) => name),
      ['attic', 'Cellar'],
    )
    assert.deepEqual((await theirs.listViews()).items, [])
    const params = { viewId: cellar.id }
    await assert.rejects(theirs.removeView({ params }), { code: 'not_found' })
    await mine.removeView({ params })
    await assert.rejects(mine.removeView({ params }), { code: 'not_found' })
    assert.equal((await mine.listViews()).items.length, 1)
  })

  test('have names of their own within one person, whatever the case', async () => {
    const [mine, theirs] = [await person(), await person()]
    const body = { name: 'North', filters: FILTERS }
    await mine.createView({ body })
    await assert.rejects(mine.createView({ body: { ...body, name: 'NORTH' } }), { code: 'conflict' })
    await theirs.createView({ body })
  })

  test('are so many and no more, also when asked for at once', async () => {
    const views = createControllerViews(under.api.kernel)
    const { userId } = await under.buildUser()
    const make = (count: number) =>
      Promise.allSettled(
        Array.from({ length: count }, (_, index) =>
          views.create(userId, { name: `${count} ${index}`, filters: FILTERS }),
        ),
      )
    await make(MAX_VIEWS - 3)
    const last = await make(6)
    assert.equal(last.filter(({ status }) => status === 'fulfilled').length, 3)
    assert.equal((await views.list(userId)).length, MAX_VIEWS)
  })

  test('take only filters that the list knows', async () => {
    const mine = await person()
    for (const wrong of [
      { sort: 'evil' },
      { status: 'broken' },
      { q: 'x'.repeat(101) },
      { tags: ['-'] },
      { more: 1 },
    ]) {
      const filters = { ...FILTERS, ...wrong } as NewView['filters']
      await assert.rejects(mine.createView({ body: { name: 'wrong', filters } }), {
        code: 'validation_failed',
      })
    }
    await assert.rejects(mine.createView({ body: { name: ' ', filters: FILTERS } }), {
      code: 'validation_failed',
    })
  })
})

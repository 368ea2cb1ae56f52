import { after, before, suite, test } from 'node:test'
import { EXCHANGE_CASES } from './cases/all.ts'
import { startPage, type Page } from './page.ts'
import { memoryPair } from './testing/memory-pair.ts'

suite('two stream machines in memory', () => {
  let page: Page
  let pair: ReturnType<typeof memoryPair>
  before(async () => {
    page = await startPage()
    pair = memoryPair(page.url)
  })
  after(async () => {
    pair.stop()
    await page.stop()
  })

  for (const { id, title, run } of EXCHANGE_CASES) test(`${id}: ${title}`, () => run(pair))
})

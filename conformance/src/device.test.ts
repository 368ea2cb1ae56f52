import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startDeviceBench, type DeviceBench, type DialectName } from './device/listener.ts'
import { startPage, type Page } from './page.ts'
import type { Result } from './runner.ts'
import { judgeDevice } from './target-device.ts'
import { simulatedDevice } from './testing/simulated.ts'

const line = ({ id, reason, expected, came }: Result) => `${id}: ${reason} ${expected ?? ''} ${came ?? ''}`

suite('the simulated device', { concurrency: true }, () => {
  let page: Page
  before(async () => {
    page = await startPage()
  })
  after(() => page.stop())

  async function judged(dialect: DialectName, profile: 'device' | 'esp32'): Promise<Result[]> {
    const bench: DeviceBench = await startDeviceBench({ dialect })
    const device = simulatedDevice(page.url, { url: bench.url, protocol: dialect, profile })
    try {
      return await judgeDevice(bench, { only: [] })
    } finally {
      await device.stop()
      await bench.stop()
    }
  }

  for (const [dialect, profile, least] of [
    ['v1', 'device', 50],
    ['v2', 'device', 90],
    ['v2', 'esp32', 85],
  ] as const) {
    test(`keeps to ${dialect} as ${profile}`, async (t) => {
      const results = await judged(dialect, profile)
      const count = (outcome: Result['outcome']) => results.filter((result) => result.outcome === outcome)
      t.diagnostic(`${count('passed').length} passed, ${count('skipped').length} skipped`)
      assert.deepEqual(count('failed').map(line), [])
      assert.ok(count('passed').length >= least, `${count('passed').length} cases passed`)
    })
  }
})

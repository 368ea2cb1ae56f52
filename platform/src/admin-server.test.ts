import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAdminServer } from './admin-server.ts'
import { createMetrics } from './metrics.ts'

test('tells health, readiness with each dependency, and metrics', async (t) => {
  let isDatabaseUp = true
  let isReady = true
  const metrics = createMetrics('test')
  metrics.counter('wmoc_test_things_total', 'Things.').inc(3)
  const server = createAdminServer({
    host: '127.0.0.1',
    port: 0,
    metrics,
    checkTimeoutMs: 100,
    isReady: () => isReady,
    checks: {
      database: async () => {
        if (!isDatabaseUp) throw new Error('away')
      },
      store: () => (isDatabaseUp ? Promise.resolve() : new Promise(() => undefined)),
    },
  })
  await server.start()
  t.after(() => server.stop())
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`)
    return { status: response.status, text: await response.text() }
  }

  assert.equal((await get('/healthz')).status, 200)
  assert.equal((await get('/readyz')).status, 200)
  assert.match((await get('/metrics')).text, /^wmoc_test_things_total 3$/m)
  assert.equal((await get('/debug')).status, 404)

  isReady = false
  assert.equal((await get('/readyz')).status, 503)
  isReady = true
  isDatabaseUp = false
  const { status, text } = await get('/readyz')
  assert.equal(status, 503)
  const body = JSON.parse(text) as { checks: Record<string, { ok: boolean }> }
  assert.equal(body.checks['database']?.ok, false)
  assert.equal(body.checks['store']?.ok, false, 'a check that hangs is a check that failed')
  assert.equal((await get('/healthz')).status, 200)
})

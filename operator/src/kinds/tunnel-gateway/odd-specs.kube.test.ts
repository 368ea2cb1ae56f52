import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { startApiServer } from '@wmoc/testkit/kube/api-server'
import { crdManifest } from '#src/crds/definition.ts'
import { structuralSchema } from '#src/crds/structural.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import { createKubeClient } from '#src/runtime/http-client.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import { composeOperator } from '#src/compose.ts'
import { config } from '#src/config.ts'
import { quiet } from '#src/testing/api-server.ts'
import { valueOf } from '#src/testing/specs.ts'
import { TunnelGateways } from './names.ts'
import { createTunnelGatewayController } from './reconcile.ts'
import { crd, TunnelGatewaySpec } from './schema.ts'
import { createShardClient } from './shard-client.ts'

const COUNT = 1_000
const LETTERS = 'abcdefghijklmnopqrstuvwxyz'

const podTemplate = fc.constantFrom<unknown>(
  { metadata: { labels: 5 } },
  { metadata: { labels: { 'app.kubernetes.io/name': 'mine' } } },
  { metadata: { annotations: { a: null } } },
  { spec: { containers: 'x' } },
  { spec: { containers: [{ name: 'gateway', image: 'mine' }] } },
  { spec: { containers: [{ name: 'sidecar' }] } },
  { spec: { containers: null } },
  { spec: { terminationGracePeriodSeconds: 'soon' } },
  { spec: { volumes: [{ name: 'tmp', emptyDir: null }] } },
  { spec: { nodeSelector: { zone: 'a' }, unknown: { deep: [1, [2]] } } },
  { status: {} },
  {},
)

/** Sound but for one odd thing, or odd all over. */
const spec = fc
  .tuple(
    valueOf(structuralSchema(TunnelGatewaySpec)),
    fc.nat(3).map((dice) => dice === 0),
    fc.option(podTemplate, { nil: undefined, freq: 4 }),
  )
  .map(([odd, isMended, template]) => ({
    ...(odd as object),
    ...(isMended
      ? { image: { repository: 'gateway', tag: '1' }, redis: { secretKeyRef: { name: 'redis' } } }
      : {}),
    ...(template === undefined ? {} : { podTemplate: template }),
  }))

test('1,000 odd specs: refused with a reason, or answered by a condition, and then the operator is quiet', async () => {
  const server = await startApiServer()
  try {
    await server.apply(crdManifest(crd))
    await server.kubectl('wait', '--for=condition=Established', 'crd/tunnelgateways.wmoc.online')
    const access = await loadClusterAccess({}, { kubeconfig: server.kubeconfig })
    const client = createKubeClient({ access, requestsPerSecond: 1_000 })
    const controller = createTunnelGatewayController(createShardClient(() => null))
    const settings = config.load({
      ADMIN_PORT: '0',
      LEADER_ELECTION: 'false',
      API_REQUESTS_PER_SECOND: '1000',
    })
    const kind = { crd, createController: () => ({ ...controller, concurrency: 8 }) }
    const operator = composeOperator(settings, access, quiet, [kind])
    const specs = fc.sample(spec, { numRuns: COUNT })
    let refused = 0
    let stricter = 0
    const create = async (given: unknown, at: number) => {
      const name = `gw-${[...String(at)].map((digit) => LETTERS[Number(digit)]).join('')}`
      try {
        const { apiVersion, kind: kindName } = TunnelGateways
        const metadata = { name, namespace: 'default' }
        const made = await client.create(TunnelGateways, {
          apiVersion,
          kind: kindName,
          metadata,
          spec: given as never,
        })
        if (!TunnelGatewaySpec.safeParse(made.spec).success) stricter += 1
      } catch (error) {
        assert.ok(isKubeError(error, 'Invalid', 'BadRequest'), String(error))
        assert.ok(error.message.length > 20)
        refused += 1
      }
    }
    await operator.lifecycle.start()
    try {
      for (let at = 0; at < COUNT; at += 5)
        await Promise.all(specs.slice(at, at + 5).map((given, index) => create(given, at + index)))
      assert.ok(refused > COUNT / 10 && refused < COUNT * 0.9, `${refused} of ${COUNT} were refused`)
      const reasons = new Map<string, number>()
      const unanswered = async () => {
        reasons.clear()
        const { items } = await client.list(TunnelGateways)
        assert.equal(items.length, COUNT - refused)
        return items.filter(({ status, metadata }) => {
          const reconciled = status?.conditions?.find(({ type }) => type === 'Reconciled')
          const reason = reconciled?.reason ?? 'none'
          reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
          return reconciled === undefined || status?.observedGeneration !== metadata.generation
        })
      }
      const end = performance.now() + 120_000
      while ((await unanswered()).length > 0) {
        assert.ok(performance.now() < end, `${(await unanswered()).length} have no answer`)
        await new Promise((resolve) => setTimeout(resolve, 500))
      }
      assert.ok((reasons.get('Applied') ?? 0) > 10, JSON.stringify([...reasons]))
      assert.ok((reasons.get('InvalidPodTemplate') ?? 0) > 0, JSON.stringify([...reasons]))
      assert.ok((reasons.get('ApplyRefused') ?? 0) > 0, JSON.stringify([...reasons]))
      assert.equal(stricter, reasons.get('InvalidSpec') ?? 0)

      const requests = async () => {
        const text = await (await fetch(`http://127.0.0.1:${operator.adminPort}/metrics`)).text()
        const lines = text.split('\n').filter((line) => line.startsWith('wmoc_operator_api_requests_total{'))
        return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
      }
      await new Promise((resolve) => setTimeout(resolve, 3_000))
      const before = await requests()
      assert.ok(before > COUNT - refused)
      await new Promise((resolve) => setTimeout(resolve, 5_000))
      const asked = (await requests()) - before
      assert.ok(
        asked < COUNT - refused,
        `${asked} requests in 5 s for ${COUNT - refused} objects that do not change`,
      )
    } finally {
      await operator.lifecycle.stop()
      await client.close()
    }
  } finally {
    await server.stop()
  }
})

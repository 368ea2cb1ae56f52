import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { startApiServer } from '@wmoc/testkit/kube/api-server'
import type { TestApiServer } from '@wmoc/testkit/kube/api-server'
import { thirdPartyCrds } from '@wmoc/testkit/kube/third-party-crds'
import { startOperator } from '#src/testing/operator.ts'
import type { TestOperator } from '#src/testing/operator.ts'
import { crdManifest } from '#src/crds/definition.ts'
import { tryOddSpecs } from '#src/testing/odd-specs.ts'
import { alertPolicy } from './index.ts'
import { AlertPolicies, crd } from './schema.ts'
import type { AlertPolicyStatus } from './schema.ts'

interface Found {
  readonly metadata: { readonly labels: Record<string, string>; readonly generation: number }
  readonly status?: AlertPolicyStatus
  readonly spec: {
    readonly groups: { readonly name: string; readonly rules: { readonly alert?: string }[] }[]
  }
  readonly data?: Record<string, string>
}

const policy = (name: string, spec: object) => ({
  apiVersion: 'wmoc.online/v1alpha1',
  kind: 'AlertPolicy',
  metadata: { name, namespace: 'default' },
  spec,
})
const alertsOf = ({ spec }: Found) =>
  spec.groups.flatMap(({ rules }) => rules.flatMap(({ alert }) => alert ?? []))
const hasCondition = (found: Found, type: string, status: string, reason: string) =>
  found.status?.observedGeneration === found.metadata.generation &&
  found.status.conditions?.some(
    (each) => each.type === type && each.status === status && each.reason === reason,
  ) === true

suite('AlertPolicy on a real API server', { timeout: 180_000 }, () => {
  let server: TestApiServer
  let operator: TestOperator

  before(async () => {
    server = await startApiServer()
    await server.apply(crdManifest(crd))
    await server.kubectl('wait', '--for=condition=Established', 'crd/alertpolicies.wmoc.online')
    operator = await startOperator(server.kubeconfig, [alertPolicy])
  })
  after(async () => {
    await operator.stop()
    await server.stop()
  })

  const message = async (spec: object) => {
    const error = await server.apply(policy('refused', spec)).then(
      () => assert.fail('it was taken'),
      (thrown: Error) => thrown,
    )
    return error.message
  }

  test('the API server refuses what can never be right, in words', async () => {
    assert.match(await message({}), /at least one preset or rule is required/)
    assert.match(await message({ rules: [{ alert: 'WMOCMine', expr: 'up' }] }), /are those of presets/)
    assert.match(
      await message({ rules: [{ alert: 'Mine', expr: 'up', severity: 'critical' }] }),
      /a critical rule needs a summary/,
    )
    assert.match(
      await message({ presets: [{ name: 'ShardDown' }], runbookBaseURL: 'https://a.example' }),
      /must end with a slash/,
    )
    assert.match(
      await message({ presets: [{ name: 'ShardDown' }], ruleLabels: { 'app.kubernetes.io/name': 'x' } }),
      /must not set app.kubernetes.io labels/,
    )
    assert.match(await message({ presets: [{ name: 'Nothing' }] }), /Unsupported value: "Nothing"/)
    assert.match(await message({ presets: [{ name: 'ShardDown', threshold: 'much' }] }), /threshold/)
  })

  test('without the PrometheusRule API the rules are in a ConfigMap', async () => {
    await server.apply(policy('files', { presets: [{ name: 'ShardDown' }] }))
    const found = await server.waitFor<Found>(['alp', 'files'], (each) =>
      hasCondition(each, 'Ready', 'True', 'RulesApplied'),
    )
    assert.deepEqual([found.status?.configMap, found.status?.rules], ['files', 1])
    const { data, metadata } = await server.get<Found>('configmap', 'files')
    assert.match(data!['rules.yaml']!, /alert: WMOCShardDown/)
    assert.equal(metadata.labels['wmoc.online/rules'], 'true')
  })

  test('an object of the same name that is not ours is left alone', async () => {
    await server.kubectl('create', 'configmap', 'theirs', '--from-literal=a=b')
    await server.apply(policy('theirs', { presets: [{ name: 'ShardDown' }] }))
    await server.waitFor<Found>(['alp', 'theirs'], (each) =>
      hasCondition(each, 'Ready', 'False', 'NameTaken'),
    )
    assert.deepEqual((await server.get<Found>('configmap', 'theirs')).data, { a: 'b' })
  })

  test('with it the rules are there instead, and a bad one is refused by name beside the good ones', async () => {
    for (const path of await thirdPartyCrds(['PrometheusRule']))
      await server.kubectl('apply', '--server-side', '-f', path)
    await server.kubectl('wait', '--for=condition=Established', 'crd/prometheusrules.monitoring.coreos.com')
    await operator.stop()
    operator = await startOperator(server.kubeconfig, [alertPolicy])
    await server.apply(
      policy('mixed', {
        presets: [
          { name: 'ShardDown', threshold: '1' },
          { name: 'DrainStuck', enabled: false },
        ],
        rules: [
          { alert: 'GoodRule', expr: 'up == 0' },
          { alert: 'BadRule', expr: 'rate(up' },
        ],
        ruleLabels: { release: 'kube-prometheus-stack' },
      }),
    )
    const found = await server.waitFor<Found>(['alp', 'mixed'], (each) =>
      hasCondition(each, 'Accepted', 'False', 'RuleRejected'),
    )
    assert.deepEqual([found.status?.rules, found.status?.rejected], [2, 1])
    assert.equal(found.status?.rejectedRules?.[0]?.alert, 'BadRule')
    assert.ok(hasCondition(found, 'Ready', 'True', 'RulesApplied'))
    const rules = await server.get<Found>('prometheusrule', 'mixed')
    assert.deepEqual(alertsOf(rules), ['WMOCShardDown', 'GoodRule'])
    assert.equal(rules.metadata.labels['release'], 'kube-prometheus-stack')
    const { items } = await server.waitFor<{ items: { reason: string; note?: string }[] }>(
      ['events.events.k8s.io'],
      (list) => list.items.some(({ reason }) => reason === 'InvalidSpec'),
    )
    assert.match(items.find(({ reason }) => reason === 'InvalidSpec')!.note!, /BadRule/)
    assert.match(await server.kubectl('get', 'alp', 'mixed'), /mixed\s+2\s+1\s+True/)
  })

  test('rules that somebody changes or deletes by hand are put right at once', async () => {
    const isRight = (rules: Found) => alertsOf(rules).join() === 'WMOCShardDown,GoodRule'
    const patch = JSON.stringify({ metadata: { labels: { release: null } }, spec: { groups: [] } })
    await server.kubectl('patch', 'prometheusrule', 'mixed', '--type=merge', '-p', patch)
    const rules = await server.waitFor<Found>(['prometheusrule', 'mixed'], isRight)
    assert.equal(rules.metadata.labels['release'], 'kube-prometheus-stack')
    const unmarked = JSON.stringify({ metadata: { labels: null }, spec: { groups: [] } })
    await server.kubectl('patch', 'prometheusrule', 'mixed', '--type=merge', '-p', unmarked)
    await server.waitFor<Found>(['prometheusrule', 'mixed'], isRight)
    await server.kubectl('delete', 'prometheusrule', 'mixed')
    await server.waitFor<Found>(['prometheusrule', 'mixed'], isRight)
  })

  test('what was in a ConfigMap before has moved', async () => {
    await server.waitFor<{ items: { metadata: { name: string } }[] }>(['configmap'], ({ items }) =>
      items.every(({ metadata }) => metadata.name !== 'files'),
    )
    assert.deepEqual(alertsOf(await server.get<Found>('prometheusrule', 'files')), ['WMOCShardDown'])
  })

  test('a mended rule is taken, and the others stay', async () => {
    const rules = [{ alert: 'BadRule', expr: 'rate(up[5m]) > 0' }]
    await server.apply(policy('mixed', { presets: [{ name: 'ShardDown' }], rules }))
    await server.waitFor<Found>(['alp', 'mixed'], (each) =>
      hasCondition(each, 'Accepted', 'True', 'AllAccepted'),
    )
    assert.deepEqual(alertsOf(await server.get<Found>('prometheusrule', 'mixed')), [
      'WMOCShardDown',
      'BadRule',
    ])
  })

  test('K1: odd specs are refused or answered by a condition, and the operator goes on', async () => {
    const rule = {
      alert: 'Mine',
      expr: 'up == 0',
      for: '5m',
      severity: 'critical',
      summary: 'S',
      description: 'D',
    }
    const good = [
      {
        presets: [{ name: 'ShardDown', for: '5m', threshold: '1', severity: 'info' }, { name: 'DrainStuck' }],
      },
      { rules: [rule, { ...rule, alert: 'Other', runbookURL: 'https://a.example' }], ruleLabels: { a: 'b' } },
    ]
    const { refused, taken } = await tryOddSpecs(server.kubeconfig, AlertPolicies, good, 300)
    assert.ok(refused > 50 && taken > 50, `${refused} refused, ${taken} taken`)
    await server.apply(policy('after', { presets: [{ name: 'ShardDown' }] }))
    await server.waitFor<Found>(['alp', 'after'], (each) =>
      hasCondition(each, 'Ready', 'True', 'RulesApplied'),
    )
  })
})

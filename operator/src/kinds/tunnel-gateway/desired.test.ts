import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { NetworkPolicy } from 'kubernetes-types/networking/v1.d.ts'
import { statefulSet, surroundings } from './desired.ts'
import { covers, merge } from './merge.ts'
import { POD, selectorLabels } from './names.ts'
import { podTemplate } from './pod-template.ts'
import { owner, specOf } from './testing/sample.ts'

const hashIn = (spec: ReturnType<typeof specOf>, restartedAt?: string) =>
  podTemplate('gw', spec, restartedAt).metadata.annotations[POD.template]
const names = (spec: ReturnType<typeof specOf>) =>
  surroundings(owner, spec)
    .filter(({ object }) => object !== null)
    .map(({ kind, name }) => `${kind.kind} ${name}`)

suite('the objects of a TunnelGateway', () => {
  test('a shard runs without any right, and knows its name and address', () => {
    const { spec } = podTemplate('gw', specOf({ secretRef: { name: 'keys' } }), undefined)
    const [container] = spec!.containers
    assert.deepEqual(container!.securityContext, {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    })
    assert.equal(spec!.securityContext?.runAsNonRoot, true)
    assert.equal(spec!.securityContext?.runAsUser, 65_532)
    assert.deepEqual(spec!.securityContext?.seccompProfile, { type: 'RuntimeDefault' })
    assert.equal(spec!.automountServiceAccountToken, false)
    const env = new Map(container!.env!.map((variable) => [variable.name, variable]))
    assert.equal(env.get('SHARD_ID')?.valueFrom?.fieldRef?.fieldPath, 'metadata.name')
    assert.equal(env.get('PEER_ADVERTISE')?.value, '$(POD_IP)')
    assert.equal(env.get('REDIS_URL')?.valueFrom?.secretKeyRef?.key, 'url')
    assert.deepEqual(env.get('INTERNAL_TOKEN')?.valueFrom?.secretKeyRef, {
      name: 'keys',
      key: 'INTERNAL_TOKEN',
    })
    assert.ok([...env.keys()].indexOf('POD_IP') < [...env.keys()].indexOf('PEER_ADVERTISE'))
  })

  test('a process that ends has the time of a drain, and half a minute more', () => {
    for (const [timeout, ms] of [
      ['10m', 600_000],
      ['60s', 60_000],
      ['1s', 1_000],
    ] as const) {
      const { spec } = podTemplate('gw', specOf({ drain: { timeout, waitReconnect: '0s' } }), undefined)
      assert.equal(spec!.terminationGracePeriodSeconds, ms / 1_000 + 30)
      const value = (name: string) =>
        Number(spec!.containers[0]!.env!.find((one) => one.name === name)?.value)
      const whole = value('DRAIN_SETTLE_MS') + value('DRAIN_WINDOW_MS') + value('DRAIN_DEADLINE_MS')
      assert.ok(whole <= Math.max(ms, 2_000), `${whole} ms of ${ms}`)
    }
  })

  test('the template changes with what shards are made of, and with nothing else', () => {
    const usual = hashIn(specOf())
    assert.equal(hashIn(specOf({ replicas: 9, drain: { evictRate: 7 }, paused: true })), usual)
    assert.equal(hashIn(specOf({ rollout: { maxUnavailable: 2 } })), usual)
    const changed = [
      hashIn(specOf({ image: { repository: 'example.org/gateway', tag: '1.2.4' } })),
      hashIn(specOf({ env: [{ name: 'LOG_LEVEL', value: 'debug' }] })),
      hashIn(specOf({ drain: { timeout: '11m' } })),
      hashIn(specOf(), '2026-11-21T12:00:00Z'),
    ]
    assert.equal(new Set([usual, ...changed]).size, 5)
  })

  test('a user adds to the pod, and cannot take its labels', () => {
    const { metadata, spec } = podTemplate(
      'gw',
      specOf({
        env: [{ name: 'MAX_TUNNELS', value: '5' }],
        podTemplate: {
          metadata: { labels: { team: 'edge' } },
          spec: {
            nodeSelector: { zone: 'a' },
            containers: [
              { name: 'gateway', resources: { limits: { memory: '1Gi' } } },
              { name: 'sidecar', image: 'example.org/sidecar' },
            ],
            topologySpreadConstraints: null,
          },
        },
      }),
      undefined,
    )
    assert.equal(metadata.labels?.['team'], 'edge')
    assert.ok(covers(metadata.labels, selectorLabels('gw')))
    assert.deepEqual(
      spec!.containers.map(({ name }) => name),
      ['gateway', 'sidecar'],
    )
    assert.equal(spec!.containers[0]!.image, 'example.org/gateway:1.2.3')
    assert.equal(spec!.containers[0]!.resources?.limits?.['memory'], '1Gi')
    assert.deepEqual(
      spec!.containers[0]!.env!.filter(({ name }) => name === 'MAX_TUNNELS'),
      [{ name: 'MAX_TUNNELS', value: '5' }],
    )
    assert.equal(spec!.topologySpreadConstraints, undefined)
  })

  test('the set replaces nothing by itself', () => {
    const spec = specOf()
    const template = podTemplate('gw', spec, undefined)
    const set = statefulSet(owner, { spec, template, replicas: 3, partition: 3, annotations: {} })
    assert.deepEqual(set.spec?.updateStrategy, {
      type: 'RollingUpdate',
      rollingUpdate: { partition: 3, maxUnavailable: 3 },
    })
    assert.deepEqual(set.spec?.selector.matchLabels, selectorLabels('gw'))
    assert.ok(covers(set.spec?.template.metadata?.labels, selectorLabels('gw')))
    assert.equal(set.metadata.ownerReferences?.[0]?.uid, 'u-1')
    const onDelete = specOf({ rollout: { strategy: 'OnDelete' } })
    const other = statefulSet(owner, { spec: onDelete, template, replicas: 3, partition: 0, annotations: {} })
    assert.deepEqual(other.spec?.updateStrategy, { type: 'OnDelete' })
  })

  test('only what is asked for is made, and the rest is removed', () => {
    assert.deepEqual(names(specOf()), [
      'ServiceAccount gw',
      'Service gw-peers',
      'Service gw',
      'PodDisruptionBudget gw',
      'NetworkPolicy gw',
    ])
    const small = specOf({
      replicas: 1,
      networkPolicy: { enabled: false },
      monitoring: { podMonitor: true },
    })
    assert.deepEqual(names(small), ['ServiceAccount gw', 'Service gw-peers', 'Service gw', 'PodMonitor gw'])
  })

  test('the admin port, which can drain, is for the operator and who is named', () => {
    const scraper = { namespaceSelector: { matchLabels: { name: 'monitoring' } } }
    const all = surroundings(owner, specOf({ networkPolicy: { adminFrom: [scraper] } }))
    const policy = all.find(({ kind }) => kind.kind === 'NetworkPolicy')?.object as unknown as NetworkPolicy
    const rule = policy.spec?.ingress?.find(({ ports }) => ports?.[0]?.port === 9082)
    assert.equal(rule?.from?.length, 2)
    assert.deepEqual(rule.from[1], scraper)
    assert.ok(policy.spec?.ingress?.every(({ ports }) => ports?.length === 1))
  })

  test('what is merged covers the patch, and merging again changes nothing', () => {
    const json = fc.jsonValue({ maxDepth: 3 })
    fc.assert(
      fc.property(json, json, (base, patch) => {
        const merged = merge(base, patch)
        assert.deepEqual(merge(merged, patch), merged)
        if (!JSON.stringify(patch).includes('null')) assert.ok(covers(merged, patch) || base === null)
      }),
      { numRuns: 500 },
    )
    const named = merge([{ name: 'a', x: 1 }, { name: 'b' }], [{ name: 'a', x: null, y: 2 }])
    assert.deepEqual(named, [{ name: 'a', y: 2 }, { name: 'b' }])
  })
})

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { after, before, suite, test } from 'node:test'
import { startApiServer } from './api-server.ts'
import type { TestApiServer } from './api-server.ts'
import { thirdPartyCrds } from './third-party-crds.ts'

const WIDGETS = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.test.wmoc.online' },
  spec: {
    group: 'test.wmoc.online',
    scope: 'Namespaced',
    names: { kind: 'Widget', plural: 'widgets', singular: 'widget' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: {
                type: 'object',
                properties: {
                  size: { type: 'integer', minimum: 1 },
                  colour: { type: 'string', default: 'grey' },
                },
                'x-kubernetes-validations': [
                  { rule: "self.size < 10 || self.colour == 'red'", message: 'large widgets are red' },
                ],
              },
            },
          },
        },
      },
    ],
  },
}
const widget = (name: string, spec: object) => ({
  apiVersion: 'test.wmoc.online/v1',
  kind: 'Widget',
  metadata: { name, namespace: 'default' },
  spec,
})

suite('an API server', () => {
  let api: TestApiServer
  before(async () => {
    api = await startApiServer()
  })
  after(() => api.stop())

  test('keeps good objects with their defaults and refuses bad ones with the rule that they break', async () => {
    await api.apply(WIDGETS)
    await api.kubectl('wait', '--for=condition=Established', 'crd/widgets.test.wmoc.online')
    await api.apply(widget('small', { size: 3 }))
    const { spec } = await api.get<{ spec: object }>('widget', 'small')
    assert.deepEqual(spec, { size: 3, colour: 'grey' })
    await assert.rejects(api.apply(widget('large', { size: 12 })), /large widgets are red/)
    await assert.rejects(api.apply(widget('none', { size: 0 })), /should be greater than or equal to 1/)
  })

  test('takes the custom resources of other projects', async () => {
    const files = await thirdPartyCrds()
    await api.kubectl('apply', '--server-side', ...files.flatMap((file) => ['-f', file]))
    await api.kubectl('wait', '--for=condition=Established', 'crd', '--all')
    const served = await api.kubectl('api-resources', '--no-headers')
    for (const kind of ['PrometheusRule', 'HTTPRoute', 'Cluster'])
      assert.match(served, new RegExp(`${kind}\\b`))
  })

  test('has its objects again after a restart', async () => {
    await api.restart()
    assert.match(await api.kubectl('get', 'namespaces'), /default/)
  })
})

test('leaves no file behind when it stops', async () => {
  const api = await startApiServer()
  await api.stop()
  assert.equal(existsSync(api.folder), false)
  await assert.rejects(api.kubectl('get', 'namespaces', '--request-timeout=2s'))
})

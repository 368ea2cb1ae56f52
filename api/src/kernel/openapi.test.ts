import { suite, test } from 'node:test'
import assert from 'node:assert/strict'
import { ERRORS } from '@wmoc/platform/errors'
import { CONTRACTS } from '#src/modules.ts'
import type { Contract } from './contract.ts'
import { toOpenApi } from './openapi.ts'

interface Operation {
  operationId: string
  parameters: { name: string; in: string }[]
  responses: Record<string, { description: string; content?: Record<string, { schema: object }> }>
  requestBody?: object
  security: object[]
}
const contracts: Contract[] = Object.values(CONTRACTS)
const document = toOpenApi(contracts, { version: '1', serverUrl: 'http://localhost' }) as {
  openapi: string
  paths: Record<string, Record<string, Operation>>
}
const routes = contracts.flatMap(({ name, routes: table }) =>
  Object.entries(table).map(([key, route]) => ({ id: `${name}.${key}`, route })),
)

suite('the OpenAPI document', () => {
  test('has every route of the contracts and no other', () => {
    const described = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    )
    assert.equal(document.openapi, '3.1.0')
    assert.deepEqual(described.toSorted(), routes.map(({ id }) => id).toSorted())
  })

  for (const { id, route } of routes) {
    test(`says what ${id} takes, answers and refuses`, () => {
      const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}')
      const operation = document.paths[path]?.[route.method.toLowerCase()]
      assert.ok(operation)
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      assert.deepEqual(
        operation.parameters.filter((p) => p.in === 'path').map(({ name }) => name),
        inPath,
      )
      assert.equal(operation.requestBody !== undefined, route.body !== undefined)
      assert.equal(operation.security.length === 0, route.access === 'public')
      const success = operation.responses[String(route.status)]
      assert.equal(success?.content !== undefined, (route.response ?? route.stream) !== undefined)
      for (const code of route.errors ?? []) {
        assert.ok(code in ERRORS, `${code} is no error of the platform`)
        const { status } = ERRORS[code as keyof typeof ERRORS]
        assert.ok(operation.responses[String(status)]?.description.includes(`\`${code}\``), code)
      }
    })
  }

  test('no two routes answer one method and path', () => {
    const keys = routes.map(({ route }) => `${route.method} ${route.path.replaceAll(/:\w+/g, ':')}`)
    assert.deepEqual(
      keys.filter((key, index) => keys.indexOf(key) !== index),
      [],
    )
  })
})

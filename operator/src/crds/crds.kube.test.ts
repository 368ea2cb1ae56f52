import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { KINDS } from '#src/kinds.ts'
import type { KubeClient } from '#src/runtime/client.ts'
import { KubeError } from '#src/runtime/errors.ts'
import { startServerWithWidgets } from '#src/testing/api-server.ts'
import { valueOf } from '#src/testing/specs.ts'
import { widgetCrd } from '#src/testing/widgets.ts'
import { crdManifest } from './definition.ts'
import type { CrdDefinition } from './definition.ts'
import { structuralSchema } from './structural.ts'

const CRDS: readonly CrdDefinition[] = [widgetCrd, ...KINDS.map(({ crd }) => crd)]
const RUNS = 300

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
let client: KubeClient
before(async () => {
  server = await startServerWithWidgets()
  client = server.connect({ requestsPerSecond: 1_000 })
  for (const { crd } of KINDS) await server.apply(crdManifest(crd))
  await server.kubectl('wait', '--for=condition=Established', 'crd', '--all')
})
after(() => server.stop())

interface Verdict {
  readonly isAccepted: boolean
  readonly why: string
  readonly spec?: unknown
}

/** What the API server says about a new object, without keeping it. */
async function ask(crd: CrdDefinition, spec: unknown): Promise<Verdict> {
  const apiVersion = `${crd.group}/${crd.version}`
  try {
    const answer = await client.raw({
      method: 'POST',
      path: `/apis/${apiVersion}/namespaces/default/${crd.plural}?dryRun=All&fieldValidation=Strict`,
      body: { apiVersion, kind: crd.kind, metadata: { name: 'generated', namespace: 'default' }, spec },
    })
    return { isAccepted: true, why: '', spec: (JSON.parse(answer) as { spec: unknown }).spec }
  } catch (error) {
    if (!(error instanceof KubeError) || error.status < 400 || error.status >= 500) throw error
    return { isAccepted: false, why: error.message }
  }
}

for (const crd of CRDS) {
  test(`${crd.kind}: the API server and the operator refuse the same objects, and fill in the same defaults`, async () => {
    let accepted = 0
    await fc.assert(
      fc.asyncProperty(valueOf(structuralSchema(crd.spec)), async (spec) => {
        const ours = crd.spec.safeParse(spec)
        const theirs = await ask(crd, spec)
        const words = ours.success ? '' : z.prettifyError(ours.error)
        assert.equal(
          ours.success,
          theirs.isAccepted,
          `${JSON.stringify(spec)}\nzod: ${words || 'accepts'}\nAPI server: ${theirs.why || 'accepts'}`,
        )
        if (!ours.success) return
        accepted += 1
        assert.deepEqual(theirs.spec, ours.data)
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: 20_000, endOnFailure: true },
    )
    assert.ok(accepted > RUNS / 50, `only ${accepted} of ${RUNS} were good: the generator has become useless`)
  })
}

interface Rule {
  readonly rule: string
  readonly message: string
}

/** Every rule in CEL of a schema. */
function rulesOf(schema: unknown): Rule[] {
  if (schema === null || typeof schema !== 'object') return []
  return Object.entries(schema).flatMap(([key, value]) =>
    key === 'x-kubernetes-validations' ? (value as Rule[]) : rulesOf(value),
  )
}

test('every rule says in words what must hold', () => {
  const rules = KINDS.flatMap(({ crd }) => rulesOf(crdManifest(crd)))
  for (const { rule, message } of rules) {
    assert.ok(message.split(' ').length >= 3 && message.length <= 200, `${rule}: ${message}`)
    assert.doesNotMatch(message, /\bself\b/, 'in the words of the one who writes the object')
  }
  assert.ok(new Set(rules.map(({ message }) => message)).size >= 12, `${rules.length} rules`)
})

test('columns, short names and subresources are there', async () => {
  for (const { crd } of KINDS) {
    const [found] = (await server.kubectl('api-resources', '--api-group', crd.group, '--no-headers'))
      .split('\n')
      .filter((line) => line.includes(crd.kind))
    assert.match(found ?? '', new RegExp(crd.shortNames[0]!))
    const explained = await server.kubectl('explain', `${crd.plural}.spec`)
    assert.match(explained, /FIELDS:/)
  }
})

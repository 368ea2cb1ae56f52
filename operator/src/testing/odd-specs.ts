/** Specs as nobody should write them, and what becomes of them. For tests of kinds on a real API server. */
import fc from 'fast-check'
import type { Condition } from '#src/runtime/conditions.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import { createKubeClient } from '#src/runtime/http-client.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import type { Resource, Sent } from '#src/runtime/objects.ts'
import { eventually } from './api-server.ts'

const ODD = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    '',
    ' ',
    0,
    -1,
    2 ** 31,
    1e308,
    true,
    [],
    {},
    [null],
    { a: { b: [] } },
    '\u0000',
  ),
  fc.constantFrom<unknown>(
    'x'.repeat(5_000),
    '{{ $value',
    'rate(',
    '5m',
    '-5m',
    '../..',
    '\u202Egnp',
    '😀'.repeat(40),
  ),
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.integer(),
  fc.array(fc.string({ maxLength: 5 }), { maxLength: 80 }),
)

/** A good spec with one to three places changed, removed or added. */
function oddSpec(good: unknown): fc.Arbitrary<unknown> {
  const change = fc.tuple(fc.nat(), fc.constantFrom('set', 'remove', 'add'), ODD)
  return fc.array(change, { minLength: 1, maxLength: 3 }).map((changes) => {
    const spec = structuredClone(good)
    for (const [at, how, value] of changes) {
      const places = placesOf(spec)
      const place = places[at % places.length]
      if (place === undefined) continue
      const [holder, key] = place
      if (how === 'remove') Reflect.deleteProperty(holder, key)
      else if (how === 'add' && !Array.isArray(holder)) Reflect.set(holder, 'odd', value)
      else Reflect.set(holder, key, value)
    }
    return spec
  })
}

function placesOf(value: unknown): [object, string][] {
  if (value === null || typeof value !== 'object') return []
  return Object.entries(value).flatMap(([key, inner]) => [
    [value, key] as [object, string],
    ...placesOf(inner),
  ])
}

interface WithStatus {
  readonly status?: { readonly observedGeneration?: number; readonly conditions?: readonly Condition[] }
}

/**
 * Creates an object with each odd spec and waits until every one that the API server took is answered by a condition.
 * Answers how many it refused and took. Throws for any refusal but of the spec itself.
 */
export async function tryOddSpecs<T extends WithStatus>(
  kubeconfig: string,
  kind: Resource<T>,
  good: readonly object[],
  count: number,
): Promise<{ refused: number; taken: number }> {
  const access = await loadClusterAccess({}, { kubeconfig })
  const client = createKubeClient({ access, requestsPerSecond: 500 })
  const specs = fc.sample(fc.constantFrom(...good).chain(oddSpec), { numRuns: count, seed: 11 })
  const taken: string[] = []
  try {
    for (const [index, spec] of specs.entries()) {
      const name = `odd-${index}`
      const { apiVersion, kind: of } = kind
      const object = { apiVersion, kind: of, metadata: { name, namespace: 'default' }, spec }
      try {
        await client.create(kind, object as unknown as Sent<T>)
        taken.push(name)
      } catch (error) {
        if (!isKubeError(error, 'Invalid', 'BadRequest')) throw error
      }
    }
    await eventually(`${taken.length} odd objects are answered`, async () => {
      const { items } = await client.list(kind, { namespace: 'default' })
      const open = items.filter(
        ({ metadata, status }) =>
          metadata.name.startsWith('odd-') &&
          (status?.observedGeneration !== metadata.generation || (status?.conditions ?? []).length === 0),
      )
      return open.length === 0
    })
    return { refused: specs.length - taken.length, taken: taken.length }
  } finally {
    await client.close()
  }
}

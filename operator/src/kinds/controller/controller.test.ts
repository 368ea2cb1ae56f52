import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { Stored } from '#src/runtime/objects.ts'
import type { Enrolled, Refused } from './control-plane.ts'
import { activationSecret, declarationOf } from './desired.ts'
import { ControllerSpec } from './schema.ts'
import type { ControllerStatus, DeclaredController } from './schema.ts'
import { eventsOf, statusOf } from './status.ts'
import type { Outcome } from './status.ts'

const NOW = Date.parse('2026-11-21T10:00:00Z')
const MAC = '24:6F:28:AA:BB:CC'
const email = fc.constantFrom('Alice@example.com', 'bob@example.com', 'c@d')
const spec = fc
  .record(
    {
      displayName: fc.string({ minLength: 1, maxLength: 80 }),
      tags: fc.dictionary(
        fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,15}$/),
        fc.stringMatching(/^[a-z0-9._-]{0,20}$/),
        {
          maxKeys: 20,
        },
      ),
      suspended: fc.boolean(),
      sharedWith: fc.uniqueArray(email, { minLength: 1 }),
      activationSecretName: fc.constant('boiler-activation'),
    },
    { requiredKeys: [] },
  )
  .map((value) =>
    ControllerSpec.parse({
      mac: MAC,
      owner: 'Alice@example.com',
      ...value,
      access: value.sharedWith ? 'Shared' : 'Private',
    }),
  )
const object = (value: ControllerSpec, status?: ControllerStatus): Stored<DeclaredController> => ({
  apiVersion: 'wmoc.online/v1alpha1',
  kind: 'Controller',
  metadata: { name: 'boiler', namespace: 'shop', uid: 'u', resourceVersion: '1', generation: 2 },
  spec: value,
  ...(status === undefined ? {} : { status }),
})
const enrolled: fc.Arbitrary<Enrolled> = fc.record({
  outcome: fc.constant('enrolled' as const),
  controllerId: fc.uuid(),
  state: fc.constantFrom('pending', 'online', 'offline', 'suspended'),
  url: fc.constant('https://wmoc.example/c/1/'),
  firmwareVersion: fc.option(fc.constant('1.0.0')),
  shard: fc.option(fc.constant('wmoc-gateway-0')),
  lastSeenAt: fc.option(fc.integer({ min: 0, max: NOW })),
  registered: fc.boolean(),
  activation: fc.constant(null),
  drift: fc.array(
    fc.record({
      field: fc.constantFrom('displayName' as const, 'tags' as const),
      declared: fc.string(),
      actual: fc.string(),
    }),
    { maxLength: 2 },
  ),
  unknownPeople: fc.array(email, { maxLength: 2 }),
})
const refused: fc.Arbitrary<Refused> = fc.record({
  outcome: fc.constant('refused' as const),
  reason: fc.constantFrom(
    'owner_unknown',
    'mac_taken',
    'declared_elsewhere',
    'limit_reached',
    'removed',
    'invalid',
  ),
  detail: fc.constant('Do something.'),
})
const away: fc.Arbitrary<Outcome> = fc.constant({
  outcome: 'unavailable',
  reason: 'ControlPlaneUnavailable',
  detail: 'It does not answer.',
})
const outcome: fc.Arbitrary<Outcome> = fc.oneof(enrolled, refused, away)

suite('a declaration', () => {
  test('carries what the object says, with the portal’s form of tags and e-mails', () => {
    fc.assert(
      fc.property(spec, (value) => {
        const declared = declarationOf(object(value), null)
        assert.deepEqual([declared.namespace, declared.name, declared.mac], ['shop', 'boiler', MAC])
        assert.equal(declared.owner, 'alice@example.com')
        for (const tag of declared.tags) assert.match(tag, /^[a-z0-9][a-z0-9._:-]{0,39}$/)
        assert.equal(declared.tags.length, Object.keys(value.tags ?? {}).length)
        assert.equal(declared.sharedWith.length, value.sharedWith?.length ?? 0)
        assert.equal(declared.activation !== null, value.activationSecretName !== undefined)
      }),
    )
  })

  test('proves the token of the Secret that was written', () => {
    const value = ControllerSpec.parse({ mac: MAC, owner: 'a@b', activationSecretName: 's' })
    const activation = {
      token: 'the-token',
      activateUrl: 'https://wmoc.example/activate#token=the-token',
      tunnelUrl: 'wss://wmoc.example/tunnel',
      expiresAt: NOW,
    }
    const secret = activationSecret(object(value), 's', activation)
    const hash = createHash('sha256').update('the-token').digest('hex')
    assert.deepEqual(declarationOf(object(value), secret).activation, { tokenHash: hash })
    assert.match(Buffer.from(secret.data!['qr.svg']!, 'base64').toString(), /^<svg/)
    assert.equal(secret.metadata.ownerReferences?.[0]?.uid, 'u')
  })
})

suite('the spec', () => {
  const base = { mac: MAC, owner: 'a@b' }
  for (const [name, bad] of Object.entries({
    'a MAC in small letters': { ...base, mac: MAC.toLowerCase() },
    'the MAC of everybody': { ...base, mac: 'FF:FF:FF:FF:FF:FF' },
    'people without Shared': { ...base, sharedWith: ['c@d'] },
    'Shared without people': { ...base, access: 'Shared' },
    'a tag that is too long': { ...base, tags: { a: 'b'.repeat(39) } },
    'a tag that is none': { ...base, tags: { 'A B': 'c' } },
    'an owner who is no address': { ...base, owner: 'alice' },
  })) {
    test(`refuses ${name}`, () => assert.equal(ControllerSpec.safeParse(bad).success, false))
  }
})

suite('the status', () => {
  test('of one that is suspended says so, and how it is let in again', () => {
    const value = ControllerSpec.parse({ mac: MAC, owner: 'a@b', suspended: true })
    const [enrolment] = fc.sample(enrolled, { numRuns: 1, seed: 1 })
    const told = (state: Enrolled['state']) => statusOf(object(value), { ...enrolment!, state }, NOW, false)
    const suspended = told('suspended')
    assert.equal(suspended.state, 'Suspended')
    const ready = suspended.conditions?.find(({ type }) => type === 'Ready')
    assert.deepEqual([ready?.status, ready?.reason], ['True', 'Suspended'])
    assert.match(ready?.message ?? '', /Set spec\.suspended to false/)
    assert.ok(eventsOf(told('offline'), suspended).some(({ reason }) => reason === 'Suspended'))
  })

  test('is stable while nothing changes, and tells each change once', () => {
    fc.assert(
      fc.property(spec, outcome, fc.boolean(), (value, what, hasTelemetry) => {
        const first = statusOf(object(value), what, NOW, hasTelemetry)
        const again = statusOf(object(value, first), what, NOW + 60_000, hasTelemetry)
        assert.deepEqual(again, first)
        assert.deepEqual(eventsOf(first, again), [])
        assert.ok(eventsOf(undefined, first).length >= 1)
      }),
    )
  })

  test('keeps what is known while the API is away or refuses', () => {
    fc.assert(
      fc.property(spec, enrolled, fc.oneof(refused, away), (value, known, then) => {
        const before = statusOf(object(value), known, NOW, true)
        const { conditions, ...kept } = statusOf(object(value, before), then, NOW, true)
        const { conditions: had, ...all } = before
        assert.deepEqual(kept, all)
        const others = (list: typeof had) => list?.filter(({ type }) => type !== 'Ready')
        assert.deepEqual(others(conditions), others(had))
        assert.notEqual(conditions?.find(({ type }) => type === 'Ready')?.status, 'True')
      }),
    )
  })

  test('tells nothing that changes by itself where there are too many objects', () => {
    fc.assert(
      fc.property(spec, enrolled, enrolled, (value, one, other) => {
        const same = {
          ...other,
          controllerId: one.controllerId,
          registered: true,
          drift: [],
          unknownPeople: [],
        }
        const states = [
          { ...same, state: 'online' as const, shard: 'a', lastSeenAt: NOW, firmwareVersion: '1' },
          { ...same, state: 'offline' as const, shard: null, lastSeenAt: null, firmwareVersion: '2' },
        ].map((each) => statusOf(object(value), each, NOW, false))
        assert.deepEqual(states[0], states[1])
      }),
    )
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createMemberList } from './member-list.ts'
import type { LeaseValue } from './member-list.ts'

const GRACE_MS = 7_000
const member = (shard: string, more: Partial<LeaseValue> = {}): LeaseValue => ({
  shard,
  instance: `${shard}@1`,
  peerAddress: '127.0.0.1:1',
  weight: 1,
  state: 'serving',
  beat: 1,
  startedAtMs: 0,
  ...more,
})
const self = member('self')
const names = (list: { all(): readonly LeaseValue[] }) =>
  list
    .all()
    .map(({ instance }) => instance)
    .toSorted()

test('a member that is missing from a read is gone, this one never', () => {
  const list = createMemberList(
    () => self,
    GRACE_MS,
    () => false,
  )
  list.adopt([member('a'), member('b')], 0)
  assert.deepEqual(names(list), ['a@1', 'b@1', 'self@1'])
  list.adopt([member('b')], 1)
  assert.deepEqual(names(list), ['b@1', 'self@1'])
  list.adopt([], 2)
  assert.deepEqual(names(list), ['self@1'])
})

test('F3: when the store has lost writes the others get time to write theirs again, but not for ever', () => {
  const list = createMemberList(
    () => self,
    GRACE_MS,
    () => false,
  )
  list.adopt([member('a'), member('b'), member('c')], 0)
  list.storeLost(10)
  list.adopt([member('b')], 10)
  assert.deepEqual(names(list), ['a@1', 'b@1', 'c@1', 'self@1'])
  list.left('c@1')
  list.adopt([member('b')], 10 + GRACE_MS - 1)
  assert.deepEqual(names(list), ['a@1', 'b@1', 'self@1'])
  list.adopt([member('b')], 10 + GRACE_MS)
  assert.deepEqual(names(list), ['b@1', 'self@1'])
})

test('F2: who answers over its link lives, whatever its lease says', () => {
  const reached = new Set(['a@1'])
  const list = createMemberList(
    () => self,
    GRACE_MS,
    (instance) => reached.has(instance),
  )
  list.adopt([member('a'), member('b')], 0)
  list.adopt([], 1)
  assert.deepEqual(names(list), ['a@1', 'self@1'])
  reached.clear()
  list.adopt([], 2)
  assert.deepEqual(names(list), ['self@1'])
})

test('finds the instance asked for; else who serves the shard, else who drains, the youngest first', () => {
  const anyMember = fc.record({
    shard: fc.constantFrom('a', 'b', 'self'),
    instance: fc.constantFrom('1', '2', '3', '4'),
    state: fc.constantFrom('serving' as const, 'draining' as const),
    startedAtMs: fc.nat({ max: 3 }),
  })
  fc.assert(
    fc.property(fc.array(anyMember, { maxLength: 8 }), (given) => {
      const list = createMemberList(
        () => self,
        GRACE_MS,
        () => false,
      )
      list.adopt(
        given.map(({ instance, ...rest }) => member(rest.shard, { ...rest, instance: `i${instance}` })),
        0,
      )
      for (const { instance } of list.all()) assert.equal(list.find(instance)?.instance, instance)
      for (const shard of ['a', 'b', 'self']) {
        const candidates = list.all().filter((entry) => entry.shard === shard)
        const found = list.find(shard)
        assert.equal(found === undefined, candidates.length === 0)
        for (const other of candidates) {
          if (found!.state === 'draining') assert.equal(other.state, 'draining')
          if (other.state === found!.state) assert.ok(found!.startedAtMs >= other.startedAtMs)
        }
      }
      assert.equal(list.find('nobody'), undefined)
    }),
  )
})

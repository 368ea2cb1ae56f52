import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conditionCounts } from './condition-counts.ts'
import { setCondition } from './conditions.ts'
import type { Condition } from './conditions.ts'
import { resource } from './objects.ts'

const Gadgets = resource('test.wmoc.online/v1', 'Gadget', 'gadgets')
const ready = (reason: string) =>
  setCondition(
    [],
    { type: 'Ready', status: 'False', reason, message: `${reason}!` },
    '2026-11-21T20:00:00Z',
    1,
  )
const gadget = (name: string, conditions?: readonly Condition[]) => ({
  apiVersion: Gadgets.apiVersion,
  kind: Gadgets.kind,
  metadata: { name, namespace: 'shop', uid: name, resourceVersion: '1' },
  ...(conditions === undefined ? {} : { status: { conditions } }),
})
const gadgets = [
  gadget('a', ready('Late')),
  gadget('b', ready('Late')),
  gadget('c', ready('Broken')),
  gadget('d'),
]

test('objects are counted by condition, status and reason, and named where there are few', () => {
  const many = conditionCounts(Gadgets, gadgets, false)
  assert.deepEqual(
    many.map(([{ type, status, reason, object }, value]) => [type, status, reason, object, value]),
    [
      ['Ready', 'False', 'Late', '', 2],
      ['Ready', 'False', 'Broken', '', 1],
    ],
  )
  const few = conditionCounts(Gadgets, gadgets, true)
  assert.deepEqual(
    few.map(([{ reason, object_namespace: namespace, object }, value]) => [reason, namespace, object, value]),
    [
      ['Late', 'shop', 'a', 1],
      ['Late', 'shop', 'b', 1],
      ['Broken', 'shop', 'c', 1],
    ],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { discoverTests, KINDS } from './discover.ts'
import { parseSelection } from './selection.ts'
import { ROOT } from '../start/root.ts'

test('chooses everything without arguments, and everything but a kind by --without', () => {
  const all = parseSelection([])
  assert.deepEqual([all.hasChecks, all.hasTests, KINDS.every(all.isWanted)], [true, true, true])
  const most = parseSelection(['--without', 'kube'])
  assert.deepEqual([most.hasChecks, most.hasTests, most.left], [true, true, ['kube']])
  assert.deepEqual(KINDS.filter(most.isWanted), ['unit', 'integration', 'e2e'])
})

test('chooses kinds, paths and the checks', () => {
  const some = parseSelection(['kube', 'operator', 'check'])
  assert.deepEqual([some.paths, some.hasChecks, KINDS.filter(some.isWanted)], [['operator'], true, ['kube']])
  assert.equal(parseSelection(['check']).hasTests, false)
  assert.throws(() => parseSelection(['--without', 'cubes']), /--without needs one of unit, .*, not 'cubes'/)
})

test('tells tests on Kubernetes by their names, and those that need nodes by their folder', () => {
  const files = discoverTests(ROOT, ['testkit', 'e2e/kube', 'e2e/journey.test.ts'])
  const of = (path: string) => files.find((file) => file.path === path)
  const summary = (path: string) => [of(path)?.kind, of(path)?.needsNodes]
  assert.deepEqual(summary('testkit/src/kube/api-server.kube.test.ts'), ['kube', false])
  assert.deepEqual(summary('e2e/kube/cluster.test.ts'), ['kube', true])
  assert.deepEqual(summary('e2e/journey.test.ts'), ['e2e', false])
})

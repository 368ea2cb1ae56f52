/** Both charts with every file of values in `ci/`: linted, tested, scored, and sent to a real API server. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startApiServer } from '@wmoc/testkit/kube/api-server'
import type { TestApiServer } from '@wmoc/testkit/kube/api-server'
import { execute } from '@wmoc/testkit/kube/execute'
import { thirdPartyCrds } from '@wmoc/testkit/kube/third-party-crds'
import { ensureTools, findTool } from '@wmoc/testkit/kube/tools'
import { z } from 'zod'
import packageJson from '../package.json' with { type: 'json' }
import { containersOf, placeOf, withShards } from './testing/containers.ts'
import { environmentFlaws } from './testing/environments.ts'
import { CHARTS, ciCases, NAMESPACE, render } from './testing/render.ts'
import type { Rendered } from './testing/render.ts'
import { rightsOf } from './testing/rights.ts'

const VERSION_LABEL = 'app.kubernetes.io/version'
const Labels = z.record(z.string(), z.string())
const Secret = z.object({ data: z.record(z.string(), z.string()) })

suite('the charts', { timeout: 240_000 }, () => {
  let api: TestApiServer
  let rendered: Rendered[]
  const builtin = join(CHARTS, 'wmoc/ci/builtin-values.yaml')

  before(async () => {
    await ensureTools('cli', 'control-plane', 'helm-unittest', 'kube-score')
    const started = startApiServer()
    rendered = await Promise.all(ciCases().map(render))
    api = await started
    await api.kubectl('create', 'namespace', NAMESPACE)
    await api.kubectl('create', 'namespace', 'shop')
    for (const level of ['enforce', 'warn'])
      await api.kubectl(
        'label',
        'namespace',
        NAMESPACE,
        'shop',
        `pod-security.kubernetes.io/${level}=restricted`,
      )
  })
  after(() => api?.stop())

  const helm = (...args: string[]) => api.helm(...args, '--namespace', NAMESPACE)

  test('are linted strictly with all their values', async () => {
    await Promise.all(
      rendered.map(({ chart, values }) =>
        execute(findTool('helm'), ['lint', '--strict', join(CHARTS, chart), '--values', values]),
      ),
    )
  })

  test('do in each feature what its suite says', async () => {
    for (const chart of ['wmoc', 'wmoc-operator']) {
      const output = await execute(findTool('helm-unittest'), [join(CHARTS, chart)])
      assert.match(output, /Tests: +\d+ passed, \d+ total/)
    }
  })

  test('K7: have nothing that kube-score calls critical', async () => {
    await Promise.all(rendered.map(({ text }) => execute(findTool('kube-score'), SCORE, { input: text })))
  })

  test('render the same each time where the keys are given, with the version of the project', async () => {
    const given = rendered.find(({ name }) => name === 'wmoc/external')!
    assert.equal((await render(given)).text, given.text)
    for (const { chart, objects } of rendered) {
      const versions = objects.map(({ metadata }) => Labels.parse(metadata['labels'] ?? {})[VERSION_LABEL])
      assert.deepEqual(
        [...new Set(versions)].filter((version) => version !== undefined),
        [packageJson.version],
        chart,
      )
    }
  })

  test('set what each process reads, everything that it needs, and nothing else', () => {
    const flaws = rendered.flatMap((of) =>
      withShards(of.objects).flatMap((object) =>
        containersOf(object).flatMap((container) =>
          environmentFlaws(container).map((flaw) => `${placeOf(of, object, container)}: ${flaw}`),
        ),
      ),
    )
    assert.deepEqual(flaws, [])
  })

  test('K5: give their service accounts the rights of rbac.golden.txt and no others', () => {
    const lines = rendered.flatMap(({ name, objects }) => rightsOf(objects).map((line) => `${name}: ${line}`))
    const golden = readFileSync(join(CHARTS, 'rbac.golden.txt'), 'utf8').trimEnd().split('\n')
    assert.deepEqual(lines, golden)
  })

  test('refuse a cluster that lacks the kinds, and say who brings them', async () => {
    await assert.rejects(
      helm('install', 'wmoc', join(CHARTS, 'wmoc'), '--values', builtin),
      /install the chart wmoc-operator first/,
    )
  })

  test('K7: are accepted strictly by an API server, under Pod Security restricted', async () => {
    const kinds = (await thirdPartyCrds()).flatMap((file) => ['-f', file])
    await api.kubectl('apply', '--server-side', ...kinds)
    await helm('install', 'wmoc-operator', join(CHARTS, 'wmoc-operator'))
    await api.kubectl('wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all')
    for (const { name, objects } of rendered) {
      const sent = withShards(objects).filter(({ kind }) => kind !== 'CustomResourceDefinition')
      await api
        .apply(sent, '--dry-run=server', '--validate=strict', '--warnings-as-errors', '--force-conflicts')
        .catch((error: Error) => assert.fail(`${name}: ${error.message}`))
    }
  })

  test('K5: let the operator do its work and look into nothing else', async () => {
    const as = `--as=system:serviceaccount:${NAMESPACE}:wmoc-operator`
    const can = (...args: string[]) =>
      api.kubectl('auth', 'can-i', ...args, as).then(
        () => true,
        () => false,
      )
    assert.equal(await can('patch', 'statefulsets.apps', '-n', 'shop'), true)
    assert.equal(await can('patch', 'tunnelgateways.wmoc.online', '--subresource=status', '-n', 'shop'), true)
    assert.equal(await can('list', 'secrets', '-n', NAMESPACE), false)
    assert.equal(await can('delete', 'tunnelgateways.wmoc.online', '-n', 'shop'), false)
    assert.equal(await can('create', 'clusterroles'), false)
    assert.equal(await can('update', 'leases.coordination.k8s.io/other', '-n', NAMESPACE), false)
  })

  test('make keys once: an upgrade, and an install after an uninstall, find them again', async () => {
    const keys = async () => Secret.parse(await api.get('secret', 'wmoc-secrets', '-n', NAMESPACE)).data
    const args = ['wmoc', join(CHARTS, 'wmoc'), '--values', builtin]
    await helm('install', ...args)
    const first = await keys()
    assert.equal(Buffer.from(first['SECRETS_KEY'] ?? '', 'base64').toString().length, 44)
    await helm('upgrade', ...args, '--set', 'logLevel=debug')
    assert.deepEqual(await keys(), first)
    await helm('uninstall', 'wmoc')
    assert.deepEqual(await keys(), first)
    await helm('install', ...args)
    assert.deepEqual(await keys(), first)
  })

  test('leave the number of shards to whoever scaled them, or refuse to change it', async () => {
    const upgrade = (...more: string[]) =>
      helm('upgrade', 'wmoc', join(CHARTS, 'wmoc'), '--values', builtin, ...more)
    await api.kubectl('scale', 'tgw/wmoc-gateway', '--replicas=5', '-n', NAMESPACE)
    await assert.rejects(upgrade(), /conflict with "kubectl".*\.spec\.replicas/)
    await upgrade('--set', 'gateway.replicas=null')
    const { spec } = await api.get<{ spec: { replicas: number } }>('tgw', 'wmoc-gateway', '-n', NAMESPACE)
    assert.equal(spec.replicas, 5)
  })

  test('say what to do next', async () => {
    const notes = await helm('get', 'notes', 'wmoc')
    assert.match(notes, /WARNING: database\.type=builtin and redis\.type=builtin/)
  })
})

/** Fails for what is critical, but for what is left as it is. */
const SCORE = [
  'score',
  '--output-format=ci',
  // Limits of CPU only slow down what is under way; what to pull when is the values' business.
  '--ignore-container-cpu-limit',
  '--ignore-test=container-image-pull-policy',
  // The operator makes the shards that some Services select; the official PostgreSQL's files belong to user 999.
  '--ignore-test=service-targets-pod',
  '--ignore-test=container-security-context-user-group-id',
  '-',
]

/** What `skaffold.yaml` and the Dockerfile name is there, and is what the charts name. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { parse } from 'yaml'
import { z } from 'zod'
import { parseRestoreOptions } from '../api/src/backup/restore-options.ts'

const root = join(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const dockerfile = read('Dockerfile')

const Release = z.strictObject({
  name: z.string(),
  chartPath: z.string(),
  namespace: z.string(),
  createNamespace: z.literal(true),
  wait: z.boolean().optional(),
  valuesFiles: z.array(z.string()).default([]),
  setValueTemplates: z.record(z.string(), z.string()),
})
const Patch = z.strictObject({ op: z.literal('add'), path: z.string(), value: z.unknown() })
const Skaffold = z.strictObject({
  apiVersion: z.literal('skaffold/v4beta13'),
  kind: z.literal('Config'),
  metadata: z.object({ name: z.string() }),
  build: z.strictObject({
    tagPolicy: z.object({}),
    local: z.object({ useBuildkit: z.boolean(), concurrency: z.number() }),
    artifacts: z.array(
      z.strictObject({
        image: z.string(),
        docker: z.strictObject({ dockerfile: z.string(), target: z.string() }),
      }),
    ),
  }),
  deploy: z.strictObject({ helm: z.strictObject({ releases: z.array(Release) }) }),
  profiles: z.array(
    z.strictObject({
      name: z.string(),
      activation: z.array(z.object({ kubeContext: z.string() })),
      patches: z.array(Patch),
    }),
  ),
})
const skaffold = Skaffold.parse(parse(read('skaffold.yaml')))
const { releases } = skaffold.deploy.helm

/** The value at a dotted path; undefined where there is none. */
function at(values: unknown, path: string): unknown {
  return path
    .split('.')
    .reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], values)
}
const valuesOf = (chart: string): unknown => parse(read(`${chart}/values.yaml`))

/** Images of this project that a chart names: each `image.repository` without a host. */
function imagesOf(values: unknown): string[] {
  const registry = String(at(values, 'image.registry'))
  const found: string[] = []
  const walk = (value: unknown) => {
    if (typeof value !== 'object' || value === null) return
    const repository: unknown = (value as { repository?: unknown }).repository
    if (typeof repository === 'string' && !repository.includes('/')) found.push(`${registry}/${repository}`)
    Object.values(value).forEach(walk)
  }
  walk(values)
  return found
}

suite('skaffold.yaml', () => {
  test('builds each image from a stage that is there, under the name that the charts use', () => {
    for (const { image, docker } of skaffold.build.artifacts) {
      assert.ok(existsSync(join(root, docker.dockerfile)), docker.dockerfile)
      assert.match(dockerfile, new RegExp(`^FROM runtime AS ${docker.target}$`, 'm'))
      assert.equal(image, `ghcr.io/wmoc/wmoc-${docker.target}`)
    }
    const named = new Set(releases.flatMap(({ chartPath }) => imagesOf(valuesOf(chartPath))))
    const built = new Set(skaffold.build.artifacts.map(({ image }) => image))
    assert.deepEqual([...built].toSorted(), [...named].toSorted())
  })

  test('installs charts that are there, and sets values that they have', () => {
    const artifacts = skaffold.build.artifacts.map(({ image }) => image.replaceAll(/[/.:-]/g, '_'))
    for (const { chartPath, valuesFiles, setValueTemplates } of releases) {
      assert.ok(existsSync(join(root, chartPath, 'Chart.yaml')), chartPath)
      for (const file of valuesFiles) assert.ok(existsSync(join(root, file)), file)
      for (const [path, template] of Object.entries(setValueTemplates)) {
        assert.equal(typeof at(valuesOf(chartPath), path), 'string', `${path} of ${chartPath}`)
        const artifact = /^\{\{\.IMAGE_(?:DOMAIN|REPO_NO_DOMAIN|TAG)_(\w+)\}\}$/.exec(template)?.[1]
        assert.ok(artifact && artifacts.includes(artifact), template)
      }
    }
  })

  test('replaces every image of this project that a chart names', () => {
    for (const { chartPath, setValueTemplates } of releases) {
      const set = Object.keys(setValueTemplates).filter((path) => path.endsWith('image.repository'))
      assert.equal(set.length, imagesOf(valuesOf(chartPath)).length, chartPath)
    }
  })

  test('its profiles change what is there', () => {
    for (const { name, patches } of skaffold.profiles) {
      for (const { path, value } of patches) {
        const parent = at(skaffold, path.split('/').slice(1, -1).join('.'))
        assert.ok(parent, `${name}: ${path}`)
        if (!path.endsWith('/setValues')) continue
        const { chartPath } = Release.parse(parent)
        for (const key of Object.keys(z.object({}).loose().parse(value)))
          assert.notEqual(at(valuesOf(chartPath), key), undefined, `${name}: ${key}`)
      }
    }
  })
})

suite('the Job that restores', () => {
  const Container = z.object({ image: z.string(), args: z.array(z.string()) })
  const job = z
    .object({
      spec: z.object({
        template: z.object({
          spec: z.object({ initContainers: z.array(Container), containers: z.array(Container) }),
        }),
      }),
    })
    .parse(parse(read('docs/kubernetes/restore-job.yaml')))
  const { initContainers, containers } = job.spec.template.spec

  test('runs the images of the chart', () => {
    const { appVersion } = z.object({ appVersion: z.string() }).parse(parse(read('charts/wmoc/Chart.yaml')))
    const image = z.object({ repository: z.string(), tag: z.string() })
    const { repository, tag } = image.parse(at(valuesOf('charts/wmoc'), 'backup.image'))
    const api = `ghcr.io/wmoc/wmoc-api:${appVersion}`
    assert.deepEqual(
      [...initContainers, ...containers].map((container) => container.image),
      [api, `${repository}:${tag}`, api],
    )
  })

  test('fetches to where it loads from, and finishes', () => {
    const [fetch, load] = initContainers
    const fetched = parseRestoreOptions(fetch!.args.slice(1))
    const finished = parseRestoreOptions(containers[0]!.args.slice(1))
    assert.deepEqual([fetched.to, fetched.overwrite, finished.finish], [load!.args.at(-1), false, true])
    for (const { args } of [fetch!, containers[0]!]) assert.ok(existsSync(join(root, args[0]!)), args[0])
  })
})

suite('the Dockerfile', () => {
  test('knows every workspace, or npm would not agree with the lock file', () => {
    const { workspaces } = JSON.parse(read('package.json')) as { workspaces: string[] }
    const copied = [...dockerfile.matchAll(/^COPY (\S+)\/package\.json \1\/$/gm)].map(([, name]) => name!)
    assert.deepEqual(copied.toSorted(), workspaces.toSorted())
  })

  test('copies what is there and what the context has', () => {
    const context = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const sources = [...dockerfile.matchAll(/^COPY (?!--)(.+) \S+$/gm)].flatMap(([, list]) =>
      list!.split(' '),
    )
    assert.ok(sources.length > 20)
    for (const source of sources) {
      assert.ok(existsSync(join(root, source)), source)
      const isThere = context.some(
        (entry) => source === entry || source.startsWith(`${entry}/`) || entry.startsWith(`${source}/`),
      )
      assert.ok(isThere || source.endsWith('/package.json'), `${source} is not in the context`)
    }
  })

  test('every process ends as the user that owns nothing, without a shell or a health check around it', () => {
    const stages = dockerfile.split(/^FROM /m).filter((stage) => stage.startsWith('runtime AS '))
    assert.equal(stages.length, skaffold.build.artifacts.length)
    for (const stage of stages) {
      assert.match(stage, /^USER 65532:65532$/m)
      const main = /^CMD \["([\w./-]+)"\]$/m.exec(stage)?.[1]
      assert.ok(main && existsSync(join(root, main)), stage)
    }
    assert.doesNotMatch(dockerfile, /^HEALTHCHECK|^COPY --link|<</m)
    assert.match(dockerfile, /^ENTRYPOINT \["node"\]$/m)
    assert.match(dockerfile, /^STOPSIGNAL SIGTERM$/m)
  })
})

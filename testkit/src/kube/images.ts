/**
 * Container images without a daemon and without a registry: buildah builds the project's own Dockerfiles, whose bases are
 * made here under the names that they are asked for. Root. What was built stays in the cache and is checked for changes.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.ts'
import { execute } from './execute.ts'
import { buildGo } from './go.ts'

const ROOT = join(import.meta.dirname, '../../..')
const ID_LENGTH = 16
/** What an image is called in an OCI layout (image-spec, annotations.md). */
const REF_NAME = 'org.opencontainers.image.ref.name'
const LAYOUT_LIFE_MS = 3_600_000
const SOURCES = join(import.meta.dirname, '../../kube')

export const TARGETS = ['api', 'gateway', 'operator', 'web', 'device-sim'] as const
export type Target = (typeof TARGETS)[number]

interface Index {
  readonly manifests: readonly object[]
}

export interface BuiltImage {
  readonly name: string
  /** A folder in OCI layout, as `startCluster` wants it. */
  readonly layout: string
}

const DEBIAN = 'docker.io/library/debian:bookworm-slim'
const NODE = 'docker.io/library/node:24-bookworm-slim'
/** What the chart calls the images of its evaluation mode. */
const SERVICES = {
  postgres: 'docker.io/library/postgres:18-bookworm',
  valkey: 'docker.io/valkey/valkey:8-bookworm',
} as const

/** The version of the project, which is the images' default tag. */
export function projectVersion(): string {
  return (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version
}

/** Builds targets of the project's Dockerfile as `ghcr.io/wmoc/wmoc-<target>:<tag>`. */
export function buildImages(
  targets: readonly Target[] = TARGETS,
  options: { readonly tag?: string } = {},
): Promise<BuiltImage[]> {
  const tag = options.tag ?? projectVersion()
  return withLock('images', async () => {
    await ensureNodeBase()
    const built: BuiltImage[] = []
    for (const target of targets) {
      const name = `ghcr.io/wmoc/wmoc-${target}:${tag}`
      // oxlint-disable-next-line no-await-in-loop -- the targets share their first steps
      const id = await build(['--target', target, '--file', join(ROOT, 'Dockerfile'), ROOT])
      // oxlint-disable-next-line no-await-in-loop
      built.push({ name, layout: await exportImage(id, name) })
    }
    return built
  })
}

/** Builds the images of the chart's `builtin` database and Redis: Debian's programs behind the official images' names. */
export function buildServiceImages(): Promise<BuiltImage[]> {
  return withLock('images', async () => {
    await ensureDebianBase()
    const built: BuiltImage[] = []
    for (const [folder, name] of Object.entries(SERVICES)) {
      // oxlint-disable-next-line no-await-in-loop
      const id = await build([join(SOURCES, 'images', folder)])
      // oxlint-disable-next-line no-await-in-loop
      built.push({ name, layout: await exportImage(id, name) })
    }
    return built
  })
}

/** The layout of `localhost/pause:1`, which holds each pod's namespaces; `/pause serve :8080` is a small HTTP server. */
export function pauseImage(): Promise<string> {
  return withLock('pause', async () => {
    const layout = join(cacheFolder('images'), 'pause-1')
    if (existsSync(layout)) return layout
    const folder = mkdtempSync(join(tmpdir(), 'wmoc-pause-'))
    try {
      await buildGo({ module: join(SOURCES, 'pause'), output: join(folder, 'pause') })
      const container = (await buildah('from', 'scratch')).trim()
      await buildah('copy', container, join(folder, 'pause'), '/pause')
      await buildah('config', '--entrypoint', '["/pause"]', '--user', '65532:65532', container)
      await buildah('commit', '--rm', container, 'localhost/pause:1')
      await push('localhost/pause:1', layout, 'localhost/pause:1')
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
    return layout
  })
}

function buildah(...args: string[]): Promise<string> {
  const storage = cacheFolder('buildah')
  const place = [
    '--root',
    join(storage, 'root'),
    '--runroot',
    join(storage, 'run'),
    '--storage-driver',
    'overlay',
  ]
  return execute('nice', ['-n', '5', 'buildah', ...place, ...args], {
    env: { BUILDAH_ISOLATION: 'chroot' },
    timeoutMs: 30 * 60_000,
  })
}

/** Answers the image's id; steps whose inputs did not change come from the cache. */
async function build(args: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-build-'))
  try {
    const idFile = join(folder, 'id')
    await buildah('bud', '--layers', '--pull=never', '--network=host', '--iidfile', idFile, ...args)
    return readFileSync(idFile, 'utf8').trim().replace('sha256:', '')
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One layout for each image and name; those of the same name that nobody can still be using are removed. */
async function exportImage(id: string, name: string): Promise<string> {
  const images = cacheFolder('images')
  const prefix = `${name.replaceAll(/[^a-z0-9.-]+/g, '_')}-`
  const layout = join(images, `${prefix}${id.slice(0, ID_LENGTH)}`)
  if (existsSync(layout)) return layout
  for (const other of readdirSync(images)) {
    const path = join(images, other)
    const isOld = Date.now() - statSync(path).mtimeMs > LAYOUT_LIFE_MS
    // `0.1.0-next` begins as `0.1.0-` does.
    const isOfName = other.startsWith(prefix) && other.length === prefix.length + ID_LENGTH
    if (isOfName && isOld) rmSync(path, { recursive: true })
  }
  const same = readdirSync(images).find((other) => other.endsWith(`-${id.slice(0, ID_LENGTH)}`))
  if (same === undefined) await push(id, layout, name)
  else renameLayout(join(images, same), layout, name)
  return layout
}

/** The same image under another name: its layers need not be read and compressed again. */
function renameLayout(from: string, layout: string, name: string): void {
  const part = `${layout}.part`
  rmSync(part, { recursive: true, force: true })
  cpSync(from, part, { recursive: true })
  const index = JSON.parse(readFileSync(join(part, 'index.json'), 'utf8')) as Index
  const manifests = index.manifests.map((manifest) => ({ ...manifest, annotations: { [REF_NAME]: name } }))
  writeFileSync(join(part, 'index.json'), JSON.stringify({ ...index, manifests }))
  renameSync(part, layout)
}

async function push(image: string, layout: string, name: string): Promise<void> {
  const part = `${layout}.part`
  rmSync(part, { recursive: true, force: true })
  await buildah('push', image, `oci:${part}:${name}`)
  renameSync(part, layout)
}

/** Makes one layout of several, so that what they share is there and read once. Blobs are links to the originals. */
export function mergeLayouts(layouts: readonly string[], target: string): void {
  const blobs = join(target, 'blobs/sha256')
  mkdirSync(blobs, { recursive: true })
  const manifests: unknown[] = []
  for (const layout of layouts) {
    for (const blob of readdirSync(join(layout, 'blobs/sha256'))) {
      const place = join(blobs, blob)
      if (!existsSync(place)) symlinkSync(join(layout, 'blobs/sha256', blob), place)
    }
    const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as Index
    manifests.push(...index.manifests)
  }
  writeFileSync(join(target, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }))
  writeFileSync(join(target, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
}

async function hasImage(name: string): Promise<boolean> {
  const names = await buildah('images', '--format', '{{.Name}}:{{.Tag}}')
  return names.split('\n').includes(name)
}

async function commitBase(name: string, fill: (container: string) => Promise<void>, base = 'scratch') {
  const container = (await buildah('from', '--pull-never', base)).trim()
  await fill(container)
  await buildah('commit', '--rm', container, name)
}

async function ensureDebianBase(): Promise<void> {
  if (await hasImage(DEBIAN)) return
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-debian-'))
  try {
    const archive = join(folder, 'base.tar')
    const options = ['--quiet', '--variant=minbase', '--include=ca-certificates']
    await execute('nice', ['-n', '5', 'mmdebstrap', ...options, 'bookworm', archive])
    await commitBase(DEBIAN, async (container) => {
      await buildah('add', container, archive, '/')
      await buildah('config', '--cmd', 'bash', container)
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Debian with this project's Node and the npm that the official image of it has. */
async function ensureNodeBase(): Promise<void> {
  await ensureDebianBase()
  if (await hasImage(NODE)) return
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-node-'))
  try {
    const modules = join(folder, 'lib/node_modules')
    mkdirSync(modules, { recursive: true })
    const archive = (await execute('npm', ['pack', '--silent', 'npm@11'], { cwd: folder })).trim()
    await execute('tar', ['xzf', archive], { cwd: folder })
    renameSync(join(folder, 'package'), join(modules, 'npm'))
    mkdirSync(join(folder, 'bin'))
    await execute('cp', [process.execPath, join(folder, 'bin/node')])
    for (const name of ['npm', 'npx']) {
      // oxlint-disable-next-line no-await-in-loop
      await execute('ln', ['-s', `../lib/node_modules/npm/bin/${name}-cli.js`, join(folder, 'bin', name)])
    }
    await commitBase(NODE, (container) => fillNodeBase(container, folder), DEBIAN)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function fillNodeBase(container: string, folder: string): Promise<void> {
  await buildah('copy', container, join(folder, 'bin'), '/usr/local/bin')
  await buildah('copy', container, join(folder, 'lib'), '/usr/local/lib')
  const authorities = process.env['NODE_EXTRA_CA_CERTS']
  if (authorities) {
    // A machine behind a proxy of its own: npm in a build step must trust it too.
    const place = '/etc/ssl/certs/ca-certificates.crt'
    await buildah('copy', container, authorities, place)
    await buildah('config', '--env', `NODE_EXTRA_CA_CERTS=${place}`, container)
  }
  const version = process.versions.node
  await buildah(
    'config',
    '--env',
    `NODE_VERSION=${version}`,
    '--entrypoint',
    '[]',
    '--cmd',
    'node',
    container,
  )
}

/**
 * T3: a whole real cluster: control plane, DNS, and nodes with kubelet, containerd and runc, in namespaces of their own
 * without a way out. Needs root and Debian's packages of `scripts/ensure-tools.ts`. Nothing of it outlives the test.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs'
import { chmod } from 'node:fs/promises'
import { request } from 'node:http'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureTools as ensurePackages } from '../../../scripts/ensure-tools.ts'
import {
  API_PORT,
  HUB_ADDRESS,
  nodeSettings,
  imagesFolder,
  pkiFolder,
  socketPath,
  writeSettings,
} from './cluster/settings.ts'
import { createCommands } from './commands.ts'
import type { KubeCommands } from './commands.ts'
import { connectThrough, openForward } from './forward.ts'
import type { Forward } from './forward.ts'
import { mergeLayouts, pauseImage } from './images.ts'
import { createPki } from './pki.ts'
import { ensureTools } from './tools.ts'

export interface TestCluster extends KubeCommands {
  /** Data, configuration and logs, until `stop`. */
  readonly folder: string
  /** A port on 127.0.0.1 that leads to a Service (`name.namespace.svc.cluster.local`), pod or cluster address. */
  forward(host: string, port: number, listenPort?: number): Promise<Forward>
  connect(host: string, port: number): Promise<Socket>
  /** Everything on the node dies at once, as without power. Not `node-1`: the control plane shares its network. */
  killNode(name: string): Promise<void>
  /** A killed node comes back with the disk that it had, and without what was in its memory. */
  startNode(name: string): Promise<void>
  restartApiServer(): Promise<void>
  /** The last lines of every log, for the message of a test that failed. */
  logs(lines?: number): string
  stop(): Promise<void>
}

export interface ClusterOptions {
  /** How many (1): `node-1`, `node-2`, … */
  readonly nodes?: number
  /** Images in OCI layout (`buildImages`), on every node before it is ready; nothing is ever pulled. */
  readonly images?: readonly string[]
}

const START_MS = 300_000

/** Starts the cluster; answers when all nodes are Ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<TestCluster> {
  if (process.getuid?.() !== 0) {
    throw new Error(
      'a cluster with nodes needs root (namespaces, mounts, containers): run the tests with sudo',
    )
  }
  ensurePackages(['kube', 'nodes'])
  await ensureTools('cli', 'control-plane', 'coredns')
  const layouts = [await pauseImage(), ...(options.images ?? [])]
  const nodes = nodeSettings(options.nodes ?? 1)
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-cluster-'))
  mkdirSync(pkiFolder(folder))
  mergeLayouts(layouts, imagesFolder(folder))
  writeSettings(folder, { nodes })
  const pki = createPki(pkiFolder(folder), ['127.0.0.1', '10.96.0.1', HUB_ADDRESS])
  const server = `https://${HUB_ADDRESS}:${API_PORT}`
  for (const { name, address } of nodes) {
    pki.issue(name, `/O=system:nodes/CN=system:node:${name}`, [name, address])
    pki.kubeconfig(name, server)
  }
  pki.kubeconfig('admin', server)

  const keeper = startKeeper(folder)
  const socket = socketPath(folder)
  try {
    await keeper.up
    const api = await openForward(socket, `${HUB_ADDRESS}:${API_PORT}`)
    const commands = createCommands(pki.kubeconfig('admin', `https://127.0.0.1:${api.port}`, 'test'))
    await commands.waitFor<NodeList>(
      ['nodes'],
      ({ items }) => items.filter(isReady).length === nodes.length,
      START_MS,
    )
    await createStorage(commands, folder)
    return {
      ...commands,
      folder,
      forward: (host, port, listenPort) => openForward(socket, `${host}:${port}`, listenPort),
      connect: (host, port) => connectThrough(socket, `${host}:${port}`),
      killNode: (name) => post(socket, `/nodes/${name}/kill`),
      startNode: (name) => post(socket, `/nodes/${name}/start`),
      restartApiServer: () => post(socket, '/api-server/restart'),
      logs: (lines) => lastLines(folder, lines),
      async stop() {
        await api.close()
        await keeper.stop()
      },
    }
  } catch (error) {
    const logs = lastLines(folder)
    await keeper.stop()
    throw new Error(`the cluster did not start: ${(error as Error).message}\n${keeper.output()}\n${logs}`, {
      cause: error,
    })
  }
}

interface NodeList {
  readonly items: readonly {
    readonly status: { readonly conditions?: readonly { type: string; status: string }[] }
  }[]
}

function isReady(node: NodeList['items'][number]): boolean {
  return (node.status.conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')
}

function startKeeper(folder: string) {
  const script = join(import.meta.dirname, 'cluster/keeper.ts')
  // In a session of its own, so that what ends the test does not end the cleaning up after it.
  const child = spawn(process.execPath, [script, folder], {
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: undefined },
  })
  let output = ''
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const up = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${START_MS} ms passed`)), START_MS)
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output = (output + chunk).slice(-20_000)
        if (!/^up$/m.test(output)) return
        clearTimeout(timer)
        resolve()
      })
    }
    void ended.then(() => {
      clearTimeout(timer)
      reject(new Error('it ended'))
    })
  })
  const unref = (stream: unknown) => (stream as { unref?(): void }).unref?.()
  void up.then(
    () => [child, child.stdin, child.stdout, child.stderr].forEach(unref),
    () => {},
  )
  return {
    up,
    output: () => output,
    async stop() {
      child.ref()
      child.stdin.end()
      await ended
    },
  }
}

/** A default class of storage with volumes that any user may write to; there is no provisioner. */
async function createStorage(commands: KubeCommands, folder: string): Promise<void> {
  const volumes = Array.from({ length: 6 }, (_, index) => {
    const path = join(folder, 'volumes', String(index))
    // The mode of mkdir would be cut by the umask.
    mkdirSync(path, { recursive: true })
    return { name: `volume-${index}`, path }
  })
  await Promise.all(volumes.map(({ path }) => chmod(path, 0o777)))
  await commands.apply([
    {
      apiVersion: 'storage.k8s.io/v1',
      kind: 'StorageClass',
      metadata: {
        name: 'standard',
        annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' },
      },
      provisioner: 'kubernetes.io/no-provisioner',
    },
    ...volumes.map(({ name, path }) => ({
      apiVersion: 'v1',
      kind: 'PersistentVolume',
      metadata: { name },
      spec: {
        capacity: { storage: '20Gi' },
        accessModes: ['ReadWriteOnce', 'ReadWriteMany'],
        storageClassName: 'standard',
        hostPath: { path },
      },
    })),
  ])
}

function post(socket: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, method: 'POST', path }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('end', () =>
        response.statusCode === 200
          ? resolve()
          : reject(new Error(`${path}: ${response.statusCode} ${text}`)),
      )
    })
    asked.once('error', reject)
    asked.end()
  })
}

function lastLines(folder: string, lines = 15): string {
  const logs = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => /^([^/]+|node-\d+\/[^/]+)\.log$/.test(name))
    .toSorted()
  return logs
    .map((name) => {
      const end = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n').slice(-lines)
      return `--- ${name}\n${end.join('\n')}`
    })
    .join('\n')
}

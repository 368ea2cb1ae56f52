/** Where the API server is and who we are: from a pod's service account, or from a kubeconfig. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { parse } from 'yaml'
import { z } from 'zod'

export interface ClusterAccess {
  /** `https://host:port`, with a path where the server is behind one. */
  readonly server: string
  readonly ca: string | undefined
  readonly cert: string | undefined
  readonly key: string | undefined
  /** Of the server's certificate, where it is not the host's. */
  readonly serverName: string | undefined
  readonly isInsecure: boolean
  /** Of the pod or the context. */
  readonly namespace: string
  /** Asked before each request; null where the certificate is enough. */
  token(): Promise<string | null>
}

/** Says why the cluster can't be reached, and what to do. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
}

const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
/** The kubelet writes a new token long before the old one ends. */
const TOKEN_CACHE_MS = 60_000

/**
 * What KUBECONFIG names, else the pod's account, else `~/.kube/config`.
 * @param options `context`: another than the file's current one
 */
export async function loadClusterAccess(
  env: NodeJS.ProcessEnv = process.env,
  options: { readonly kubeconfig?: string | undefined; readonly context?: string | undefined } = {},
): Promise<ClusterAccess> {
  const paths = options.kubeconfig ?? env['KUBECONFIG']
  if (paths !== undefined && paths !== '') return fromFiles(paths.split(':').filter(Boolean), options.context)
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env
  if (host !== undefined && port !== undefined && options.context === undefined) return inCluster(host, port)
  return fromFiles([join(homedir(), '.kube', 'config')], options.context)
}

async function inCluster(host: string, port: string): Promise<ClusterAccess> {
  const read = (name: string) => readFile(join(SERVICE_ACCOUNT, name), 'utf8')
  const ca = await read('ca.crt').catch(() => {
    throw new KubeconfigError(
      `no service account in ${SERVICE_ACCOUNT}: set automountServiceAccountToken, or KUBECONFIG outside of a cluster`,
    )
  })
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    ca,
    cert: undefined,
    key: undefined,
    serverName: undefined,
    isInsecure: false,
    namespace: (await read('namespace')).trim(),
    token: cachedFile(join(SERVICE_ACCOUNT, 'token')),
  }
}

function cachedFile(path: string): () => Promise<string> {
  let known: { readonly text: string; readonly at: number } | null = null
  return async () => {
    if (known === null || performance.now() - known.at > TOKEN_CACHE_MS) {
      known = { text: (await readFile(path, 'utf8')).trim(), at: performance.now() }
    }
    return known.text
  }
}

const text = z.string().optional()
const Exec = z.object({
  apiVersion: z.string(),
  command: z.string(),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
})
const Cluster = z.object({
  server: z.url(),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': text,
})
const User = z.object({
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  token: text,
  tokenFile: text,
  exec: Exec.optional(),
})
const Context = z.object({ cluster: z.string(), user: z.string(), namespace: text })
const Kubeconfig = z.object({
  'current-context': text,
  clusters: z.array(z.object({ name: z.string(), cluster: Cluster })).nullish(),
  users: z.array(z.object({ name: z.string(), user: User })).nullish(),
  contexts: z.array(z.object({ name: z.string(), context: Context })).nullish(),
})

interface Sources {
  currentContext?: string | undefined
  clusters: Map<string, { cluster: z.output<typeof Cluster>; dir: string }>
  users: Map<string, { user: z.output<typeof User>; dir: string }>
  contexts: Map<string, z.output<typeof Context>>
}

/** Several files are read as one; of two entries with one name the first counts, as kubectl has it. */
async function readAll(paths: readonly string[]): Promise<Sources> {
  const all: Sources = { clusters: new Map(), users: new Map(), contexts: new Map() }
  for (const path of paths) {
    const content = await readFile(path, 'utf8').catch(() => null)
    if (content === null) continue
    const parsed = Kubeconfig.safeParse(parse(content))
    if (!parsed.success)
      throw new KubeconfigError(`${path} is no kubeconfig: ${z.prettifyError(parsed.error)}`)
    const dir = dirname(resolve(path))
    all.currentContext ??= parsed.data['current-context'] || undefined
    for (const { name, cluster } of parsed.data.clusters ?? []) setOnce(all.clusters, name, { cluster, dir })
    for (const { name, user } of parsed.data.users ?? []) setOnce(all.users, name, { user, dir })
    for (const { name, context } of parsed.data.contexts ?? []) setOnce(all.contexts, name, context)
  }
  return all
}

function setOnce<V>(map: Map<string, V>, name: string, value: V): void {
  if (!map.has(name)) map.set(name, value)
}

async function fromFiles(paths: readonly string[], wanted: string | undefined): Promise<ClusterAccess> {
  const all = await readAll(paths)
  const name = wanted ?? all.currentContext
  const context = name === undefined ? undefined : all.contexts.get(name)
  if (context === undefined) {
    throw new KubeconfigError(
      name === undefined
        ? `no cluster to speak to: ${paths.join(', ')} names no current context; set KUBECONFIG`
        : `there is no context "${name}" in ${paths.join(', ')}`,
    )
  }
  const from = all.clusters.get(context.cluster)
  if (from === undefined)
    throw new KubeconfigError(`there is no cluster "${context.cluster}" in ${paths.join(', ')}`)
  const { cluster, dir } = from
  const user = all.users.get(context.user)
  const by = user === undefined ? NOBODY : await credentialsOf(user.user, user.dir)
  return {
    server: cluster.server.replace(/\/$/, ''),
    ca: await pem(cluster['certificate-authority-data'], cluster['certificate-authority'], dir),
    serverName: cluster['tls-server-name'],
    isInsecure: cluster['insecure-skip-tls-verify'] ?? false,
    namespace: context.namespace ?? 'default',
    ...by,
  }
}

type Credentials = Pick<ClusterAccess, 'cert' | 'key' | 'token'>

const NOBODY: Credentials = { cert: undefined, key: undefined, token: () => Promise.resolve(null) }

async function credentialsOf(user: z.output<typeof User>, dir: string): Promise<Credentials> {
  const cert = await pem(user['client-certificate-data'], user['client-certificate'], dir)
  const key = await pem(user['client-key-data'], user['client-key'], dir)
  if (user.exec !== undefined) return fromCommand(user.exec, dir)
  if (user.tokenFile !== undefined) return { cert, key, token: cachedFile(resolve(dir, user.tokenFile)) }
  return { cert, key, token: () => Promise.resolve(user.token ?? null) }
}

async function pem(
  data: string | undefined,
  path: string | undefined,
  dir: string,
): Promise<string | undefined> {
  if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
  return path === undefined ? undefined : readFile(resolve(dir, path), 'utf8')
}

const ExecCredential = z.object({
  status: z.object({
    token: text,
    clientCertificateData: text,
    clientKeyData: text,
    expirationTimestamp: z.iso.datetime({ offset: true }).optional(),
  }),
})

/** Clouds sign in by a command of theirs; it is run again when what it gave has ended. */
async function fromCommand(exec: z.output<typeof Exec>, dir: string): Promise<Credentials> {
  const command = exec.command.includes('/') ? resolve(dir, exec.command) : exec.command
  const run = async () => {
    const info = { apiVersion: exec.apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
    const env = Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value]))
    const { stdout } = await promisify(execFile)(command, exec.args ?? [], {
      env: { ...process.env, ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      timeout: 60_000,
    }).catch((error: Error) => {
      throw new KubeconfigError(`signing in by "${exec.command}" failed: ${error.message}`)
    })
    return ExecCredential.parse(JSON.parse(stdout)).status
  }
  let status = await run()
  const hasEnded = () =>
    status.expirationTimestamp !== undefined && Date.parse(status.expirationTimestamp) < Date.now() + 30_000
  return {
    cert: status.clientCertificateData,
    key: status.clientKeyData,
    async token() {
      if (hasEnded()) status = await run()
      return status.token ?? null
    },
  }
}

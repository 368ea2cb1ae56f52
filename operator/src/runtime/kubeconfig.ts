/** Where the API server is and who we are: from a pod's service account, or from kubeconfigs, by `@kubernetes/client-node`. */
import type { RequestOptions } from 'node:https'
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { KubeconfigError } from './errors.ts'
import { readKubeconfig } from './kubeconfig-file.ts'

export interface ClusterAccess {
  /** `https://host:port`, with a path where the server is behind one. */
  readonly server: string
  /** Of the pod or the context. */
  readonly namespace: string
  /**
   * Asked before each request: tokens end, files are written anew, a command signs in again. Throws a KubeconfigError
   * where there are none.
   */
  credentials(): Promise<Credentials>
}

export interface Credentials {
  /** `authorization`, and whom we act for. */
  readonly headers: Readonly<Record<string, string>>
  readonly tls: TlsSettings
}

/** As PEM. */
export interface TlsSettings {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  /** Of the server's certificate, where it is not the host's. */
  readonly servername?: string | undefined
  readonly rejectUnauthorized?: boolean | undefined
}

/** A command that signs in may ask its cloud, but not wait for ever. */
const SIGN_IN_MS = 60_000

/**
 * What KUBECONFIG names, else the pod's account, else `~/.kube/config`.
 * @param options `context`: another than the file's current one
 */
export async function loadClusterAccess(
  env: NodeJS.ProcessEnv = process.env,
  options: { readonly kubeconfig?: string | undefined; readonly context?: string | undefined } = {},
): Promise<ClusterAccess> {
  // A quarter of a second and 60 MB: not for `--help`.
  const library = await import('@kubernetes/client-node')
  const config = new library.KubeConfig()
  const paths = options.kubeconfig || env['KUBECONFIG']
  const isInCluster = env['KUBERNETES_SERVICE_HOST'] !== undefined && options.context === undefined
  if (!paths && isInCluster) {
    config.loadFromCluster()
    return accessBy(config, 'no service account: set automountServiceAccountToken, or KUBECONFIG outside')
  }
  const files = paths ? paths.split(':').filter(Boolean) : [join(homedir(), '.kube', 'config')]
  for (const file of files) addFirst(config, await readKubeconfig(file, new library.KubeConfig()))
  if (options.context !== undefined) config.setCurrentContext(options.context)
  checkContext(config, files.join(', '))
  return accessBy(config, `cannot sign in by ${files.join(', ')}`)
}

/** Several files are read as one; of two entries with one name the first counts, as kubectl has it. */
function addFirst(all: KubeConfig, more: KubeConfig | null): void {
  if (more === null) return
  const missing = <T extends { readonly name: string }>(known: readonly T[], others: readonly T[]) =>
    others.filter(({ name }) => !known.some((entry) => entry.name === name))
  all.clusters.push(...missing(all.clusters, more.clusters))
  all.users.push(...missing(all.users, more.users))
  all.contexts.push(...missing(all.contexts, more.contexts))
  all.currentContext ||= more.currentContext
}

function checkContext(config: KubeConfig, files: string): void {
  const name = config.getCurrentContext()
  if (!name)
    throw new KubeconfigError(
      `no cluster to speak to: ${files} is not there or names no current context; set KUBECONFIG`,
    )
  const context = config.getContextObject(name)
  if (context === null) throw new KubeconfigError(`there is no context "${name}" in ${files}`)
  if (config.getCluster(context.cluster) === null)
    throw new KubeconfigError(`there is no cluster "${context.cluster}" in ${files}`)
  // As kubectl has it: nobody in particular.
  if (config.getUser(context.user) === null) config.addUser({ name: context.user })
}

/** @param failing Said before the reason where there are no credentials */
async function accessBy(config: KubeConfig, failing: string): Promise<ClusterAccess> {
  let asking: Promise<Credentials> | null = null
  const access: ClusterAccess = {
    server: config.getCurrentCluster()!.server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace?.trim() || 'default',
    // Many requests at once sign in once.
    credentials: () => (asking ??= ask(config, failing).finally(() => (asking = null))),
  }
  // What is wrong is told at the start.
  await access.credentials()
  return access
}

async function ask(config: KubeConfig, failing: string): Promise<Credentials> {
  const options: RequestOptions = {}
  try {
    await inTime(config.applyToHTTPSOptions(options))
  } catch (error) {
    throw new KubeconfigError(`${failing}: ${error instanceof Error ? error.message : String(error)}`)
  }
  const { ca, cert, key, servername, rejectUnauthorized, auth } = options
  const headers = Object.entries(options.headers ?? {}).map(([name, value]) => [
    name.toLowerCase(),
    // A token's file may end with a new line.
    String(value).trim(),
  ])
  return {
    headers: {
      ...(auth ? { authorization: `Basic ${Buffer.from(auth).toString('base64')}` } : {}),
      ...(Object.fromEntries(headers) as Record<string, string>),
    },
    tls: { ca: text(ca), cert: text(cert), key: text(key), servername, rejectUnauthorized },
  }
}

const text = (pem: unknown): string | undefined =>
  typeof pem === 'string' || Buffer.isBuffer(pem) ? pem.toString() : undefined

async function inTime(work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer after ${SIGN_IN_MS / 1_000} s`)), SIGN_IN_MS)
  })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}

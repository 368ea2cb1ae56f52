/** One kubeconfig as `@kubernetes/client-node` reads it, with what it leaves out. */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { z } from 'zod'
import { KubeconfigError } from './errors.ts'

const Exec = z.looseObject({
  apiVersion: z.string(),
  command: z.string(),
  env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
})
const User = z.looseObject({ tokenFile: z.string().optional(), exec: Exec.nullish() })
const Cluster = z.looseObject({ server: z.url() })
const Kubeconfig = z.looseObject({
  clusters: z.array(z.looseObject({ cluster: Cluster })).nullish(),
  users: z.array(z.looseObject({ user: User.nullish() })).nullish(),
  contexts: z.array(z.looseObject({})).nullish(),
})

/**
 * Reads a file into an empty `config`; null where there is no file. Paths in it become absolute.
 * Throws a KubeconfigError that says what is wrong with it.
 */
export async function readKubeconfig(path: string, config: KubeConfig): Promise<KubeConfig | null> {
  const content = await readFile(path, 'utf8').catch(() => null)
  if (content === null) return null
  const dir = dirname(resolve(path))
  try {
    const file = Kubeconfig.parse(parse(content) ?? {})
    for (const entry of file.users ?? []) if (entry.user) completeUser(entry.user, dir)
    for (const { cluster } of file.clusters ?? []) allowPlainHttp(cluster)
    config.loadFromString(JSON.stringify(file))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message
    throw new KubeconfigError(`${path} is no kubeconfig: ${why}`)
  }
  config.makePathsAbsolute(dir)
  return config
}

/** The library knows a token's file as a provider only, and runs commands without telling them what is asked of them. */
function completeUser(user: z.output<typeof User>, dir: string): void {
  if (user.tokenFile !== undefined) {
    delete user['token']
    user['auth-provider'] = { name: 'tokenFile', config: { tokenFile: resolve(dir, user.tokenFile) } }
  }
  if (!user.exec) return
  const { apiVersion, command, env } = user.exec
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
  if (command.includes('/')) user.exec.command = resolve(dir, command)
  user.exec.env = [...(env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }]
}

/** As `kubectl proxy` has it; the library wants that said. */
function allowPlainHttp(cluster: z.output<typeof Cluster>): void {
  if (cluster.server.startsWith('http:')) cluster['insecure-skip-tls-verify'] = true
}

/** kubectl and helm on one cluster. */
import { execute, waitUntil } from './execute.ts'
import { findTool } from './tools.ts'

export interface KubeCommands {
  /** The path of an administrator's kubeconfig; reaches the API server from this process's own network. */
  readonly kubeconfig: string
  /** Answers the standard output; rejects with what kubectl said. */
  kubectl(...args: string[]): Promise<string>
  helm(...args: string[]): Promise<string>
  /** `kubectl apply --server-side` of a YAML text, an object or a list of objects. */
  apply(manifest: string | object | readonly object[], ...args: string[]): Promise<string>
  /** `kubectl get <args> -o json`, parsed. */
  get<T = Record<string, unknown>>(...args: string[]): Promise<T>
  /** Asks `kubectl get <args> -o json` until `isGood`; rejects after `timeoutMs` (60 s) with what it saw last. */
  waitFor<T = Record<string, unknown>>(
    args: readonly string[],
    isGood: (found: T) => boolean,
    timeoutMs?: number,
  ): Promise<T>
}

/** The commands for one kubeconfig; both programs must be there already (`ensureTools`). */
export function createCommands(kubeconfig: string): KubeCommands {
  const env = { KUBECONFIG: kubeconfig, HELM_NO_PLUGINS: '1' }
  const kubectl = (...args: string[]) => execute(findTool('kubectl'), args, { env })
  const get = async <T>(...args: string[]) => JSON.parse(await kubectl('get', ...args, '-o', 'json')) as T
  return {
    kubeconfig,
    kubectl,
    helm: (...args) => execute(findTool('helm'), args, { env }),
    apply(manifest, ...args) {
      const objects = Array.isArray(manifest) ? { apiVersion: 'v1', kind: 'List', items: manifest } : manifest
      const input = typeof objects === 'string' ? objects : JSON.stringify(objects)
      return execute(findTool('kubectl'), ['apply', '--server-side', '-f', '-', ...args], { env, input })
    },
    get,
    async waitFor<T>(args: readonly string[], isGood: (found: T) => boolean, timeoutMs = 60_000) {
      let last = 'nothing'
      try {
        return await waitUntil(
          `kubectl get ${args.join(' ')}`,
          async () => {
            const found = await get<T>(...args)
            last = JSON.stringify(found)
            return isGood(found) ? found : null
          },
          timeoutMs,
        )
      } catch (error) {
        throw new Error(`${(error as Error).message}; last seen: ${last.slice(0, 4_000)}`, { cause: error })
      }
    },
  }
}

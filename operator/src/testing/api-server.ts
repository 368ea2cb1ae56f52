/** A real API server with the Widget kind, and a client of it. For tests. */
import { createLogger } from '@wmoc/platform/log'
import { startApiServer } from '@wmoc/testkit/kube/api-server'
import type { KubeClient } from '#src/runtime/client.ts'
import { createKubeClient } from '#src/runtime/http-client.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import type { KubeClientOptions } from '#src/runtime/transport.ts'
import { widgetManifest } from './widgets.ts'

export const quiet = createLogger({ process: 'operator', level: 'silent' })

/** Starts it; `connect` makes clients, which `stop` closes. */
export async function startServerWithWidgets(flags: readonly string[] = []) {
  const server = await startApiServer({ flags })
  const access = await loadClusterAccess({}, { kubeconfig: server.kubeconfig })
  const clients: KubeClient[] = []
  const connect = (options: Partial<KubeClientOptions> = {}): KubeClient => {
    const client = createKubeClient({ access, requestsPerSecond: 500, ...options })
    clients.push(client)
    return client
  }
  await server.apply(widgetManifest)
  await server.kubectl('wait', '--for=condition=Established', `crd/${widgetManifest.metadata.name}`)
  return {
    ...server,
    access,
    connect,
    async stop() {
      await Promise.all(clients.map((client) => client.close()))
      await server.stop()
    },
  }
}

/** Asks until it holds. @param what For the message when it never does. */
export async function eventually<R>(
  what: string,
  ask: () => Promise<R | null | false> | R | null | false,
  timeoutMs = 60_000,
): Promise<R> {
  const end = performance.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (answer !== null && answer !== false) return answer
    if (performance.now() > end) throw new Error(`did not happen: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

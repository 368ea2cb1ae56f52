/**
 * T1: an API server with the real controllers and scheduler of Kubernetes, and nodes whose pods only say that they run:
 * StatefulSets, Deployments, Jobs, disruption budgets and endpoints behave as in a cluster, in a fraction of the time.
 */
import { startApiServer } from './api-server.ts'
import type { TestApiServer } from './api-server.ts'
import { startFakeKubelet } from './fake-kubelet.ts'
import type { FakeKubelet, PodBehaviour } from './fake-kubelet.ts'

export interface TestControllers extends TestApiServer {
  readonly kubelet: FakeKubelet
}

export interface ControllersOptions {
  /** How many nodes (1): `node-1`, `node-2`, … */
  readonly nodes?: number
  /** What a pod does once it is on a node; by default it is Running and Ready at once. */
  readonly behave?: PodBehaviour
}

/** Starts everything; pods can be scheduled when it answers. */
export async function startControllers(options: ControllersOptions = {}): Promise<TestControllers> {
  const api = await startApiServer({ hasControllers: true })
  try {
    const kubelet = await startFakeKubelet(api, options.nodes ?? 1, options.behave)
    return {
      ...api,
      kubelet,
      async stop() {
        kubelet.stop()
        await api.stop()
      },
    }
  } catch (error) {
    await api.stop()
    throw error
  }
}

/** The platform on a real cluster, as somebody installs it: images of the Dockerfile, both charts, Pod Security `restricted`. */
import { join } from 'node:path'
import { createClient } from '@wmoc/api/client'
import { auth } from '@wmoc/api/contracts/auth'
import type { SignedIn } from '@wmoc/api/contracts/auth'
import { startCluster } from '@wmoc/testkit/kube/cluster'
import type { TestCluster } from '@wmoc/testkit/kube/cluster'
import { execute } from '@wmoc/testkit/kube/execute'
import { findTool } from '@wmoc/testkit/kube/tools'
import type { Forward } from '@wmoc/testkit/kube/forward'
import { buildImages, buildServiceImages, projectVersion } from '@wmoc/testkit/kube/images'
import { ROOT } from '../../../scripts/start/root.ts'
import { createEventLog } from './gateway-events.ts'
import type { GatewayEvent } from './gateway-events.ts'

export const NAMESPACE = 'wmoc'
export const OPERATOR_NAMESPACE = 'wmoc-system'
export const GATEWAY = 'wmoc-gateway'
/** The tag of a second version of the shards' image: the same program under another name. */
export const NEXT_VERSION = `${projectVersion()}-next`
const EARLIER = '0.0.1'
const EMAIL = 'owner@wmoc.example'

type Values = Readonly<Record<string, string>>

export interface Installation {
  readonly cluster: TestCluster
  /** The ports of this machine that lead to the Services of API and shards. */
  readonly api: Forward
  readonly gateway: Forward
  /** kubectl in the platform's namespace. */
  kubectl(...args: string[]): Promise<string>
  /** The TunnelGateway once `isGood` says so. */
  gatewayWhen(isGood: (found: TunnelGateway) => boolean, timeoutMs?: number): Promise<TunnelGateway>
  /** The TunnelGateway as it was when `helm install --wait` came back. */
  readonly installed: TunnelGateway
  /** The TunnelGateway's events since the last call, each as often as it happened. */
  news(): Promise<GatewayEvent[]>
  /**
   * `helm upgrade --wait` to the chart of this tree, with these values beside those that it has; answers the
   * TunnelGateway as helm left it.
   */
  upgrade(values?: Values): Promise<TunnelGateway>
  /** What `kubectl drain` does to each pod of a node. */
  evict(pod: string): Promise<void>
  stop(): Promise<void>
}

export interface TunnelGateway {
  readonly metadata: { readonly generation: number }
  readonly spec: {
    readonly replicas: number
    readonly image: { readonly tag?: string }
    readonly redis: { readonly secretKeyRef: { readonly name: string; readonly key: string } }
  }
  readonly status?: {
    readonly observedGeneration?: number
    readonly replicas?: number
    readonly readyReplicas?: number
    readonly updatedReplicas?: number
    readonly phase?: string
    readonly shards?: readonly { readonly name: string; readonly state: string }[]
    readonly conditions?: readonly { type: string; status: string; reason: string; message: string }[]
  }
}

/**
 * Builds what changed, starts a cluster of two nodes and installs both charts, that of the platform under the number of
 * an earlier version; answers when helm says all is Ready.
 */
export async function installPlatform(): Promise<Installation> {
  const images = [
    ...(await buildServiceImages()),
    ...(await buildImages()),
    ...(await buildImages(['gateway'], { tag: NEXT_VERSION })),
  ]
  const cluster = await startCluster({ nodes: 2, images: images.map(({ layout }) => layout) })
  try {
    await cluster.apply([restricted(NAMESPACE), restricted(OPERATOR_NAMESPACE)])
    const chart = (name: string) => join(ROOT, 'charts', name)
    const wait = ['--wait', '--timeout', '4m']
    await cluster.helm('install', 'wmoc-operator', chart('wmoc-operator'), '-n', OPERATOR_NAMESPACE, ...wait)
    await cluster.helm('package', chart('wmoc'), '--version', EARLIER, '--destination', cluster.folder)
    const earlier = join(cluster.folder, `wmoc-${EARLIER}.tgz`)
    await cluster.helm('install', 'wmoc', earlier, '-n', NAMESPACE, ...flags(VALUES), ...wait)
    const look = () => cluster.get<TunnelGateway>('tgw', GATEWAY, '-n', NAMESPACE)
    const installed = await look()
    const upgrade = async (values: Values = {}) => {
      const more = ['-n', NAMESPACE, '--reuse-values', ...flags(values), ...wait]
      await cluster.helm('upgrade', 'wmoc', chart('wmoc'), ...more)
      return look()
    }
    return { ...(await describe(cluster)), installed, upgrade }
  } catch (error) {
    const pods = await cluster.kubectl('get', 'pods,tgw', '-A', '-o', 'wide').catch(String)
    const of = ['-n', NAMESPACE, '--selector=app.kubernetes.io/part-of=wmoc', '--all-containers']
    const logs = await cluster.kubectl('logs', ...of, '--tail=5', '--prefix').catch(String)
    await cluster.stop()
    throw new Error(`${(error as Error).message}\n${pods}\n${logs}`, { cause: error })
  }
}

/** The one pod of each kind of data stands beside the control plane: the other node may get lost. */
const VALUES: Values = {
  'database.type': 'builtin',
  'database.builtin.nodeSelector.kubernetes\\.io/hostname': 'node-1',
  'redis.type': 'builtin',
  'redis.builtin.nodeSelector.kubernetes\\.io/hostname': 'node-1',
  publicUrl: 'http://localhost',
}

function flags(values: Values): string[] {
  return Object.entries(values).flatMap(([name, value]) => ['--set', `${name}=${value}`])
}

async function describe(cluster: TestCluster): Promise<Omit<Installation, 'installed' | 'upgrade'>> {
  const service = (name: string, port: number) =>
    cluster.forward(`${name}.${NAMESPACE}.svc.cluster.local`, port)
  const api = await service('wmoc-api', 8081)
  const gateway = await service(GATEWAY, 8080)
  return {
    cluster,
    api,
    gateway,
    kubectl: (...args) => cluster.kubectl('-n', NAMESPACE, ...args),
    gatewayWhen: (isGood, timeoutMs) =>
      cluster.waitFor<TunnelGateway>(['tgw', GATEWAY, '-n', NAMESPACE], isGood, timeoutMs),
    news: createEventLog(cluster, NAMESPACE),
    async evict(pod) {
      const metadata = { name: pod, namespace: NAMESPACE }
      const input = JSON.stringify({ apiVersion: 'policy/v1', kind: 'Eviction', metadata })
      const path = `/api/v1/namespaces/${NAMESPACE}/pods/${pod}/eviction`
      const env = { KUBECONFIG: cluster.kubeconfig }
      await execute(findTool('kubectl'), ['create', '--raw', path, '-f', '-'], { env, input })
    },
    async stop() {
      await Promise.all([api.close(), gateway.close()])
      await cluster.stop()
    },
  }
}

function restricted(name: string): object {
  const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' }
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

/** Whether all shards that are wished for serve, and nothing is under way. */
export function isSettled(shards: number): (found: TunnelGateway) => boolean {
  return ({ metadata, spec, status }) =>
    status?.observedGeneration === metadata.generation &&
    spec.replicas === shards &&
    status.replicas === shards &&
    status.readyReplicas === shards &&
    status.updatedReplicas === shards
}

/** Status and reason of a condition: `True ShardsReady`; null: it is not there. */
export function conditionOf({ status }: TunnelGateway, wanted: string): string | null {
  const found = status?.conditions?.find(({ type }) => type === wanted)
  return found === undefined ? null : `${found.status} ${found.reason}`
}

/** A sign-in link made by the program in the API's pod, as the notes of the chart say, and what somebody gets who follows it. The account is made where there is none. */
export async function signIn({ api, kubectl }: Pick<Installation, 'api' | 'kubectl'>): Promise<SignedIn> {
  const program = ['node', 'api/src/cli.ts', 'create-first-user', '--email', EMAIL, '--tier', 'premium']
  const { url } = JSON.parse(await kubectl('exec', 'deployment/wmoc-api', '--', ...program)) as {
    url: string
  }
  const token = new URLSearchParams(new URL(url).hash.slice(1)).get('link')!
  return createClient({ auth }, { baseUrl: api.url }).auth.loginByLink({ body: { token } })
}

/** The address of the builtin database through a port of this machine, and the key of the controllers' secrets. */
export async function openDatabase({ cluster, kubectl }: Installation) {
  const secrets = await readSecret(kubectl, 'wmoc-secrets')
  const url = new URL(secrets['DATABASE_URL']!)
  const forward = await cluster.forward(`wmoc-postgres.${NAMESPACE}.svc.cluster.local`, 5432)
  url.host = `127.0.0.1:${forward.port}`
  return {
    url: url.href,
    email: EMAIL,
    credentialKey: secrets['DEVICE_CREDENTIAL_KEY']!,
    close: forward.close,
  }
}

/** The values of a Secret in the platform's namespace. */
export async function readSecret(
  kubectl: Installation['kubectl'],
  name: string,
): Promise<Readonly<Record<string, string>>> {
  const { data } = JSON.parse(await kubectl('get', 'secret', name, '-o', 'json')) as {
    data: Readonly<Record<string, string>>
  }
  const entries = Object.entries(data)
  return Object.fromEntries(entries.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]))
}

export function secret(name: string, stringData: Readonly<Record<string, string>>): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: NAMESPACE }, stringData }
}

/** Nodes without containers: keeps them Ready and answers for their pods what a kubelet would report. */
import { Agent, request } from 'node:https'
import { readFileSync } from 'node:fs'
import type { KubeCommands } from './commands.ts'

export interface FakePod {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly annotations?: Readonly<Record<string, string>>
    readonly labels?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec: {
    readonly nodeName?: string
    readonly restartPolicy?: string
    readonly containers: readonly { readonly name: string; readonly image: string }[]
  }
  readonly status: { readonly phase?: string; readonly podIP?: string }
}

/** What a pod is to look like. */
export interface PodState {
  readonly isReady: boolean
  /** Must not be a loopback address: endpoints refuse those. Made up when it is left out. */
  readonly ip?: string
  /** Why a container waits, as `ImagePullBackOff`; it runs when this is left out. */
  readonly waiting?: string
}
export type PodBehaviour = (pod: FakePod) => PodState

export interface FakeKubelet {
  /** Asks the behaviour again for every pod and reports what changed. */
  refresh(): void
  stop(): void
}

const HEARTBEAT_MS = 4_000
const LOOK_MS = 100
const RUNNING: PodState = { isReady: true }

/** Registers the nodes and serves them until `stop`. Pods that are to end are gone at once. */
export async function startFakeKubelet(
  api: KubeCommands,
  count: number,
  behave: PodBehaviour = () => RUNNING,
): Promise<FakeKubelet> {
  const call = createCaller(api.kubeconfig)
  const names = Array.from({ length: count }, (_, index) => `node-${index + 1}`)
  await Promise.all(names.map((name) => call('POST', '/api/v1/nodes', nodeObject(name))))
  const beat = () => Promise.all(names.map((name) => sendStatus(call, name)))
  await beat()

  const reported = new Map<string, string>()
  const addresses = new Map<string, string>()
  let isStopped = false
  let isLooking = false
  const look = async () => {
    const { items } = await call<{ items: FakePod[] }>('GET', '/api/v1/pods')
    const known = new Set(items.map(({ metadata }) => metadata.uid))
    for (const uid of reported.keys()) if (!known.has(uid)) reported.delete(uid)
    await Promise.all(items.filter(({ spec }) => spec.nodeName).map(serve))
  }
  const serve = async (pod: FakePod) => {
    const { uid, namespace, name, deletionTimestamp } = pod.metadata
    const path = `/api/v1/namespaces/${namespace}/pods/${name}`
    if (deletionTimestamp) {
      await call('DELETE', path, { gracePeriodSeconds: 0, preconditions: { uid } })
      return
    }
    const state = behave(pod)
    const ip = state.ip ?? addresses.get(uid) ?? `10.201.${addresses.size >> 8}.${addresses.size & 255}`
    addresses.set(uid, ip)
    const key = JSON.stringify({ ...state, ip })
    if (reported.get(uid) === key) return
    await call('PATCH', `${path}/status`, { status: podStatus(pod, state, ip) })
    reported.set(uid, key)
  }
  const timers = [
    setInterval(() => void beat().catch(() => {}), HEARTBEAT_MS),
    setInterval(() => {
      if (isLooking || isStopped) return
      isLooking = true
      // A conflict or a restart of the API server: the next look is soon.
      void look()
        .catch(() => {})
        .finally(() => (isLooking = false))
    }, LOOK_MS),
  ]
  for (const timer of timers) timer.unref()
  return {
    refresh: () => reported.clear(),
    stop() {
      isStopped = true
      timers.forEach(clearInterval)
      call.close()
    },
  }
}

interface Caller {
  <T = unknown>(method: string, path: string, body?: object): Promise<T>
  close(): void
}

/** Calls the API by a kept connection; 404 and 409 are answers like any other: the object went or changed. */
function createCaller(kubeconfig: string): Caller {
  const config = JSON.parse(readFileSync(kubeconfig, 'utf8')) as {
    clusters: [{ cluster: { server: string; 'certificate-authority-data': string } }]
    users: [{ user: { 'client-certificate-data': string; 'client-key-data': string } }]
  }
  const { cluster } = config.clusters[0]
  const { user } = config.users[0]
  const decode = (data: string) => Buffer.from(data, 'base64')
  const agent = new Agent({
    keepAlive: true,
    ca: decode(cluster['certificate-authority-data']),
    cert: decode(user['client-certificate-data']),
    key: decode(user['client-key-data']),
  })
  const call = <T>(method: string, path: string, body?: object): Promise<T> =>
    new Promise((resolve, reject) => {
      const type = method === 'PATCH' ? 'application/strategic-merge-patch+json' : 'application/json'
      const text = body ? JSON.stringify(body) : ''
      const asked = request(`${cluster.server}${path}`, {
        agent,
        method,
        headers: { 'content-type': type, 'content-length': Buffer.byteLength(text) },
        timeout: 10_000,
      })
      asked.once('error', reject)
      asked.once('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)))
      asked.once('response', (response) => {
        let answer = ''
        response.setEncoding('utf8').on('data', (chunk: string) => (answer += chunk))
        response.once('end', () => {
          const { statusCode = 0 } = response
          if (statusCode < 300 || statusCode === 404 || statusCode === 409)
            return resolve(JSON.parse(answer) as T)
          reject(new Error(`${method} ${path}: ${statusCode} ${answer}`))
        })
      })
      asked.end(text)
    })
  return Object.assign(call, { close: () => agent.destroy() })
}

function nodeObject(name: string): object {
  const labels = { 'kubernetes.io/hostname': name, 'kubernetes.io/os': 'linux' }
  return { apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: {} }
}

async function sendStatus(call: Caller, name: string): Promise<void> {
  const now = new Date().toISOString()
  const room = { cpu: '64', memory: '256Gi', pods: '1000', 'ephemeral-storage': '1Ti' }
  await call('PATCH', `/api/v1/nodes/${name}/status`, {
    status: {
      capacity: room,
      allocatable: room,
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'fake', lastHeartbeatTime: now },
      ],
    },
  })
}

function podStatus(pod: FakePod, state: PodState, ip: string): object {
  const now = new Date().toISOString()
  const isDone = pod.spec.restartPolicy !== undefined && pod.spec.restartPolicy !== 'Always'
  if (isDone && !state.waiting) return { phase: 'Succeeded', podIP: ip, podIPs: [{ ip }], startTime: now }
  const isReady = state.isReady && !state.waiting
  const condition = (type: string, isTrue: boolean) => ({
    type,
    status: isTrue ? 'True' : 'False',
    lastTransitionTime: now,
  })
  return {
    phase: state.waiting ? 'Pending' : 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    startTime: now,
    conditions: [
      condition('Initialized', true),
      condition('ContainersReady', isReady),
      condition('Ready', isReady),
    ],
    containerStatuses: pod.spec.containers.map(({ name, image }) => ({
      name,
      image,
      imageID: image,
      ready: isReady,
      started: !state.waiting,
      restartCount: 0,
      state: state.waiting ? { waiting: { reason: state.waiting } } : { running: { startedAt: now } },
    })),
  }
}

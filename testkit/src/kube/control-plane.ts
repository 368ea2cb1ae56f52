/** The programs of a control plane: etcd, kube-apiserver and, when asked for, the controller manager and the scheduler. */
import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { startDaemon } from './daemon.ts'
import type { Daemon } from './daemon.ts'
import { waitUntil } from './execute.ts'
import type { Pki } from './pki.ts'
import { findTool } from './tools.ts'

export interface ControlPlaneOptions {
  /** For data and logs. */
  readonly folder: string
  readonly pki: Pki
  /** The API server listens there, and its clients reach it there. */
  readonly address: string
  readonly apiPort: number
  /** For clients and for peers, both on 127.0.0.1. */
  readonly etcdPorts: readonly [number, number]
  readonly hasControllers: boolean
  /** More flags of kube-apiserver. */
  readonly flags?: readonly string[]
}

export interface ControlPlane {
  restartApiServer(): Promise<void>
  stop(): Promise<void>
}

/** A node counts as lost when it was silent for this long; 40 s is the default of Kubernetes. */
const NODE_GRACE = '16s'

/** Starts the programs; answers when /readyz does, and with controllers when the default service account is there. */
export async function startControlPlane(options: ControlPlaneOptions): Promise<ControlPlane> {
  const { folder, pki } = options
  const log = (name: string) => join(folder, `${name}.log`)
  const etcd = startDaemon(findTool('etcd'), etcdFlags(options), log('etcd'))
  let apiServer = startDaemon(findTool('kube-apiserver'), apiServerFlags(options), log('kube-apiserver'))
  const others: Daemon[] = []
  const stop = async () => {
    await Promise.all(others.map((daemon) => daemon.stop()))
    // It would wait for its watchers; what matters of it is in etcd.
    await apiServer.stop(500)
    await etcd.stop()
  }
  try {
    await waitForPath(options, apiServer, '/readyz')
    if (options.hasControllers) {
      const server = `https://${options.address}:${options.apiPort}`
      const flags = (name: string) => clientFlags(pki.kubeconfig(name, server))
      others.push(
        startDaemon(
          findTool('kube-controller-manager'),
          [...flags('controller-manager'), ...controllerFlags(pki)],
          log('kube-controller-manager'),
        ),
        startDaemon(findTool('kube-scheduler'), flags('scheduler'), log('kube-scheduler')),
      )
      await waitForPath(options, others[0]!, '/api/v1/namespaces/default/serviceaccounts/default')
    }
  } catch (error) {
    await stop()
    throw error
  }
  return {
    stop,
    async restartApiServer() {
      await apiServer.stop()
      apiServer = startDaemon(findTool('kube-apiserver'), apiServerFlags(options), log('kube-apiserver'))
      await waitForPath(options, apiServer, '/readyz')
    },
  }
}

function etcdFlags({ folder, etcdPorts: [clients, peers] }: ControlPlaneOptions): string[] {
  const [client, peer] = [`http://127.0.0.1:${clients}`, `http://127.0.0.1:${peers}`]
  return [
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
    // The data live as long as the test.
    '--unsafe-no-fsync',
    '--log-level=warn',
  ]
}

function apiServerFlags(options: ControlPlaneOptions): string[] {
  const { pki, address } = options
  const isLoopback = address.startsWith('127.')
  return [
    `--etcd-servers=http://127.0.0.1:${options.etcdPorts[0]}`,
    `--bind-address=${address}`,
    `--advertise-address=${address}`,
    `--secure-port=${options.apiPort}`,
    `--tls-cert-file=${pki.file('apiserver.crt')}`,
    `--tls-private-key-file=${pki.file('apiserver.key')}`,
    `--client-ca-file=${pki.file('ca.crt')}`,
    `--cert-dir=${join(options.folder, 'certs')}`,
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${pki.file('sa.pub')}`,
    `--service-account-signing-key-file=${pki.file('sa.key')}`,
    `--kubelet-client-certificate=${pki.file('kubelet-client.crt')}`,
    `--kubelet-client-key=${pki.file('kubelet-client.key')}`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--authorization-mode=Node,RBAC',
    '--allow-privileged=true',
    '--profiling=false',
    // The endpoints of a Service may not be loopback addresses.
    `--endpoint-reconciler-type=${isLoopback ? 'none' : 'lease'}`,
    // Without the controller manager nobody makes the accounts that it asks for.
    ...(options.hasControllers ? [] : ['--disable-admission-plugins=ServiceAccount']),
    ...(options.flags ?? []),
  ]
}

function clientFlags(kubeconfig: string): string[] {
  const names = ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig']
  return [...names.map((name) => `--${name}=${kubeconfig}`), '--leader-elect=false', '--secure-port=0']
}

function controllerFlags(pki: Pki): string[] {
  return [
    '--use-service-account-credentials',
    `--service-account-private-key-file=${pki.file('sa.key')}`,
    `--root-ca-file=${pki.file('ca.crt')}`,
    `--cluster-signing-cert-file=${pki.file('ca.crt')}`,
    `--cluster-signing-key-file=${pki.file('ca.key')}`,
    '--node-monitor-period=1s',
    `--node-monitor-grace-period=${NODE_GRACE}`,
    '--allocate-node-cidrs=false',
  ]
}

/** Waits for 200 from the API server as an administrator; fails at once when `daemon` ended. */
async function waitForPath(options: ControlPlaneOptions, daemon: Daemon, path: string): Promise<void> {
  const { pki, address } = options
  const agent = {
    ca: readFileSync(pki.file('ca.crt')),
    cert: readFileSync(pki.file('admin.crt')),
    key: readFileSync(pki.file('admin.key')),
  }
  const look = () =>
    new Promise<boolean>((resolve, reject) => {
      if (daemon.exit !== null) return resolve(true)
      const asked = request({ ...agent, host: address, port: options.apiPort, path, timeout: 5_000 })
      asked.once('error', reject)
      asked.once('timeout', () => asked.destroy(new Error('no answer')))
      asked.once('response', (response) => {
        response.resume()
        resolve(response.statusCode === 200)
      })
      asked.end()
    })
  try {
    await waitUntil(`${path} of the API server`, look, 180_000)
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${daemon.tail()}`, { cause: error })
  }
  if (daemon.exit !== null) throw new Error(`it ended (${daemon.exit}); ${daemon.tail()}`)
}

/** T0: a real etcd and kube-apiserver on loopback; no root needed. Objects are stored and checked, nothing runs. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onExit } from '../exit.ts'
import { freePort } from '../free-port.ts'
import { createCommands } from './commands.ts'
import type { KubeCommands } from './commands.ts'
import { startControlPlane } from './control-plane.ts'
import type { ControlPlane } from './control-plane.ts'
import { createPki } from './pki.ts'
import { ensureTools } from './tools.ts'

export interface TestApiServer extends KubeCommands {
  readonly folder: string
  readonly controlPlane: ControlPlane
  /** Stops the API server and starts it again on the same data, as an upgrade of it would. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface ApiServerOptions {
  /** More flags of kube-apiserver. */
  readonly flags?: readonly string[]
  /** With the controllers of Kubernetes and its scheduler; `startControllers` also brings nodes. */
  readonly hasControllers?: boolean
}

/** Starts an empty API server; ready when it answers /readyz. */
export async function startApiServer(options: ApiServerOptions = {}): Promise<TestApiServer> {
  await ensureTools('cli', 'control-plane')
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-kube-'))
  const remove = () => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
  const forget = onExit(remove)
  mkdirSync(join(folder, 'pki'))
  const pki = createPki(join(folder, 'pki'), ['127.0.0.1', '10.96.0.1'])
  const apiPort = await freePort()
  const server = `https://127.0.0.1:${apiPort}`
  const commands = createCommands(pki.kubeconfig('admin', server))
  const controlPlane = await startControlPlane({
    folder,
    pki,
    address: '127.0.0.1',
    apiPort,
    etcdPorts: [await freePort(), await freePort()],
    hasControllers: options.hasControllers ?? false,
    flags: options.flags,
  })
  return {
    ...commands,
    folder,
    controlPlane,
    restart: () => controlPlane.restartApiServer(),
    async stop() {
      await controlPlane.stop()
      forget()
      remove()
    },
  }
}

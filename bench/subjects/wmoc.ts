/** WMOC: gateway and simulator. */
import { fileURLToPath } from 'node:url'
import { startChild } from '../children.ts'
import { startGateway } from '../gateway.ts'
import type { Subject } from '../plan.ts'

const DEVICE = fileURLToPath(new URL('../processes/device.ts', import.meta.url))

/** @param upstream `http://host:port` behind the simulator. */
export async function startWmoc(upstream: string): Promise<Subject> {
  const gateway = await startGateway()
  const device = startChild(DEVICE, [`ws://127.0.0.1:${gateway.port}/tunnel`, upstream])
  await device.waitFor(/^online$/)
  const { redeemedId, accessToken } = gateway.controlPlane
  return {
    name: 'WMOC',
    note: 'path mode with a Bearer token; signature, access, limits and metrics on; no TLS',
    target: {
      host: '127.0.0.1',
      port: gateway.port,
      path: `/c/${redeemedId}/data`,
      headers: { Host: `localhost:${gateway.port}`, Authorization: `Bearer ${accessToken}` },
    },
    serverPid: gateway.child.pid,
    async stop() {
      await device.stop()
      await gateway.stop()
    },
  }
}

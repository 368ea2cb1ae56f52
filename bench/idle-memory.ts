/** What an idle tunnel costs the gateway: resident memory before and after N controllers are connected and silent. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, startChild } from './children.ts'
import { startGateway } from './gateway.ts'
import type { IdleMemory } from './plan.ts'
import { residentBytes } from './proc.ts'

const SIMULATOR = fileURLToPath(new URL('../device-sim/src/main.ts', import.meta.url))
/** Opened first, so that code and pools that every gateway has are not counted. */
const FIRST = 50
const RAMP_PER_SECOND = 150

/** @param settleMs Silence before each reading. */
export async function measureIdleMemory(tunnels: number, settleMs: number): Promise<IdleMemory> {
  const gateway = await startGateway()
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-bench-'))
  const connect = async (count: number) => {
    const expected = (await gateway.tunnels()) + count
    const file = join(folder, `credentials-${expected}`)
    const lines = Array.from({ length: count }, () => {
      const { controllerId, secret } = gateway.controlPlane.addController()
      return `${JSON.stringify({ controller_id: controllerId, secret })}\n`
    })
    writeFileSync(file, lines.join(''), { mode: 0o600 })
    const url = `ws://127.0.0.1:${gateway.port}/tunnel`
    const options = { url, fleet: count, credentials: file, ramp: RAMP_PER_SECOND, report: 0 }
    const fleet = startChild(
      SIMULATOR,
      Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]),
    )
    await eventually(`${count} tunnels`, async () => (await gateway.tunnels()) >= expected)
    await new Promise((resolve) => setTimeout(resolve, settleMs))
    return fleet
  }
  const first = await connect(FIRST)
  const beforeBytes = residentBytes(gateway.child.pid)
  const rest = await connect(tunnels)
  const afterBytes = residentBytes(gateway.child.pid)
  await Promise.all([first.stop(), rest.stop()])
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
  return { tunnels, beforeBytes, afterBytes }
}

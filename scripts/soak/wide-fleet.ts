/** A fleet too large for the open files of one process: several, each with an ingress of its own, seen as one. */
import type { FleetDevice } from './fleet.ts'
import type { IngressPlan } from './ingress-process.ts'
import { startPortProcess } from './port-process.ts'
import { openRemoteFleet, whenOnline } from './remote-fleet.ts'
import type { RemoteFleet } from './remote-fleet.ts'
import type { Stage } from './stage.ts'

/** Devices of one ingress, which holds two open files for each. */
const MOST = 5_000

/** The gateways that run now must stay on their ports. */
export async function openWideFleet(stage: Stage, devices: readonly FleetDevice[]): Promise<RemoteFleet> {
  const parts: { fleet: RemoteFleet; stop(): Promise<void> }[] = []
  for (let from = 0; from < devices.length; from += MOST) {
    const ingress = await startIngressProcess(stage, `ingress-${parts.length}`)
    const fleet = await openRemoteFleet(
      stage.state,
      `ws://localhost:${ingress.port}/tunnel`,
      devices.slice(from, from + MOST),
      `load-fleet-${parts.length}`,
    )
    parts.push({
      fleet,
      async stop() {
        await fleet.stop()
        await ingress.stop()
      },
    })
  }
  const all = <T>(ask: (fleet: RemoteFleet) => Promise<T>) =>
    Promise.all(parts.map(({ fleet }) => ask(fleet)))
  const owner = (controllerId: string) =>
    parts[Math.floor(devices.findIndex((device) => device.controller_id === controllerId) / MOST)]!.fleet

  const wide: RemoteFleet = {
    devices,
    async start(perSecond) {
      await all((fleet) => fleet.start((perSecond * fleet.devices.length) / devices.length))
    },
    report: async () => (await all((fleet) => fleet.report())).flat(),
    arrived: async () => new Map((await all((fleet) => fleet.arrived())).flatMap((map) => [...map])),
    async closeCodes() {
      const sum: Record<string, number> = {}
      for (const codes of await all((fleet) => fleet.closeCodes()))
        for (const [code, times] of Object.entries(codes)) sum[code] = (sum[code] ?? 0) + times
      return sum
    },
    cut: (controllerId) => owner(controllerId).cut(controllerId),
    freeze: (controllerId) => owner(controllerId).freeze(controllerId),
    online: (timeoutMs, count) => whenOnline(wide, timeoutMs, count),
    async stop() {
      await Promise.all(parts.map((part) => part.stop()))
    },
  }
  return wide
}

function startIngressProcess({ stack, state }: Stage, name: string) {
  const plan: IngressPlan = {
    api: { host: '127.0.0.1', port: stack.port },
    gateways: stack.gateways().map(({ host, port, shard, adminPort }) => ({ host, port, shard, adminPort })),
  }
  return startPortProcess(state, name, 'scripts/soak/ingress-process.ts', [JSON.stringify(plan)])
}

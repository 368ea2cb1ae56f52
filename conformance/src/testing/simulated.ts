/** The simulated device in front of the conformance page: what the tests point the kit at. */
import { createSimulator, type SimulatorOptions } from '@wmoc/device-sim/simulator'
import { createForward } from '@wmoc/device-sim/upstream/forward'

/** Starts at once, and comes back at once. */
export function simulatedDevice(origin: string, options: SimulatorOptions) {
  const forward = createForward(origin)
  const { handler, socketHandler } = forward
  const simulator = createSimulator({
    handler,
    socketHandler,
    reportEveryMs: 500,
    random: () => 0,
    ...options,
  })
  simulator.start()
  return {
    simulator,
    async stop() {
      await simulator.stop()
      forward.close()
    },
  }
}

/** Fetches the commands of connected controllers: asked for when a tunnel opens, when the API says so, and now and then. */
import type { Logger } from '@wmoc/platform/log'
import type { QueuedCommand } from '@wmoc/protocol/control-plane'
import type { ControlPlane } from './client.ts'

const MAX_BATCH = 500

export interface CommandTaker {
  /** Commands of this controller may be waiting. */
  request(controllerId: string): void
  stop(): void
}

export function createCommandTaker(options: {
  controlPlane: ControlPlane
  log: Logger
  isConnected(controllerId: string): boolean
  deliver(command: QueuedCommand): void
}): CommandTaker {
  const wanted = new Set<string>()
  let isRunning = false
  const state = { isStopped: false }

  async function run(): Promise<void> {
    let failures = 0
    while (wanted.size > 0 && !state.isStopped) {
      const controllerIds = [...wanted].slice(0, MAX_BATCH)
      for (const id of controllerIds) wanted.delete(id)
      const connected = controllerIds.filter((id) => options.isConnected(id))
      if (connected.length === 0) continue
      try {
        const { commands } = await options.controlPlane.call('commands/take', { controllerIds: connected })
        for (const command of commands) options.deliver(command)
        failures = 0
      } catch (error) {
        if (failures === 0) options.log.warn('commands', 'cannot fetch commands, will repeat', { error })
        failures += 1
        for (const id of connected) wanted.add(id)
        await new Promise((resolve) => setTimeout(resolve, Math.min(5_000, 100 * 2 ** failures)).unref())
      }
    }
  }

  return {
    request(controllerId) {
      wanted.add(controllerId)
      if (isRunning || state.isStopped) return
      isRunning = true
      // What is asked for in the same moment goes out together.
      setImmediate(() => {
        void run().finally(() => {
          isRunning = false
          const [next] = wanted
          if (next !== undefined && !state.isStopped) this.request(next)
        })
      })
    },
    stop() {
      state.isStopped = true
    },
  }
}

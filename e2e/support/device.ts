/** A controller inside the test, whose answers are the test's own, and which remembers all that ever reached it. */
import { createSimulator } from '@wmoc/device-sim/simulator'
import type { Simulator, SimulatorOptions } from '@wmoc/device-sim/simulator'
import type { DeviceRequest, RequestHandler } from '@wmoc/device-sim/device/handler'
import { eventually } from './stack.ts'
import type { Person, TestStack } from './stack.ts'

export interface OwnDevice {
  readonly id: string
  readonly simulator: Simulator
  /** Every request and command, oldest first. */
  readonly requests: readonly DeviceRequest[]
  readonly commands: readonly string[]
  stop(): Promise<void>
}

export type DeviceHandler = (request: DeviceRequest) => {
  status?: number
  headers?: Record<string, string | string[]>
  body?: string
}

/** Claims a new controller for this person; resolves when it is online. */
export async function claimDevice(
  platform: TestStack,
  person: Person,
  options: { name: string; answer: DeviceHandler; description?: SimulatorOptions['description'] },
): Promise<OwnDevice> {
  const made = await person.api.controllers.activate({ body: { name: options.name } })
  if (made.kind !== 'token') throw new Error('asked for a token')
  const requests: DeviceRequest[] = []
  const commands: string[] = []
  const handler: RequestHandler = (request, sink) => {
    requests.push(request)
    const { status = 200, headers = { 'Content-Type': 'text/html' }, body = '' } = options.answer(request)
    return sink.whole(status, headers, Buffer.from(body))
  }
  const simulator = createSimulator({
    url: `ws://localhost:${platform.stack.port}/tunnel`,
    token: made.token,
    handler,
    description: { max_req_header: 16_384, ...options.description },
    maxStreams: 32,
    reportEveryMs: 0,
  })
  simulator.events.on('command', ({ id }) => commands.push(id))
  simulator.start()
  const id = made.controller.id
  await eventually(async () => {
    const { status } = await person.api.controllers.get({ params: { id } })
    return simulator.isOnline && status === 'online'
  }, `${options.name} online`)
  return { id, simulator, requests, commands, stop: () => simulator.stop() }
}

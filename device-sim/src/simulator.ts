/** One simulated controller: session, socket, page or upstream, telemetry and commands put together. */
import { EventEmitter } from 'node:events'
import { randomBytes } from 'node:crypto'
import type {
  ActivationRequired,
  DeviceCredentials,
  DeviceFeature,
  Registered,
} from '@wmoc/protocol/messages'
import { createCommandRunner, type CommandHandler, type CommandRunner } from './device/commands.ts'
import { deviceCommands } from './device/device-commands.ts'
import { createFaults, type Fault } from './device/faults.ts'
import type { Handlers, RequestHandler, SocketHandler } from './device/handler.ts'
import { createOutbox } from './device/outbox.ts'
import { PROFILES, type DeviceLimits, type ProfileName } from './device/profile.ts'
import { metricItems } from './device/sensors.ts'
import {
  newSession,
  stepSession,
  type Credentials,
  type SessionEffect,
  type SessionEvent,
} from './device/session.ts'
import { createMemoryStore, type DeviceStore } from './device/store.ts'
import type { ProtocolName } from './device/tunnel.ts'
import { createTunnels } from './device/tunnels.ts'
import { createPageModel, type PageModel } from './page/model.ts'
import { createPage } from './page/page.ts'

export type SimulatorEvents = {
  /** A code to show: the device waits for a person. */
  activationRequired: [ActivationRequired]
  /** `issued`: credentials that came with it, already stored. */
  registered: [Registered, Credentials | null]
  request: [{ method: string; path: string }]
  command: [{ id: string; name: string; ok: boolean; repeated: boolean }]
  acknowledged: [number]
  /** The tunnel closed; `retryInMs` null: no further try. */
  closed: [{ code: number; reason: string; retryInMs: number | null }]
  /** A tunnel closed that had been left for a newer one. */
  left: [{ code: number }]
  /** A handler failed, or a message of the gateway was none. */
  fault: [Error]
  /** For good: revoked, or `stop` was called. */
  stopped: ['revoked' | 'asked']
}

export type SimulatorOptions = {
  /** ws:// or wss:// address of the tunnel. */
  url: string
  /** The dialect to offer; default: both, the gateway chooses. */
  protocol?: ProtocolName
  /** What it can hold and do; default `device`. */
  profile?: ProfileName
  /** Instead of the profile's. */
  features?: readonly DeviceFeature[]
  /** Activation token for the first connection; without token and credentials it asks to be claimed. */
  token?: string
  /** Default: in memory. */
  store?: DeviceStore
  /** Fields of `register`; a mac is made and stored when none is given. */
  description?: DeviceCredentials
  /** Answers the requests; default: the controller's own page. */
  handler?: RequestHandler
  /** Takes users' WebSockets; default: the own page's, or none beside a `handler`. */
  socketHandler?: SocketHandler
  /** Commands it obeys beside its own, by name. */
  commands?: Readonly<Record<string, CommandHandler>>
  /** Time between metrics; 0: none. Default 5,000. */
  reportEveryMs?: number
  /** Requests at once; announced. Default: the profile's. */
  maxStreams?: number
  /** Called instead of connecting at once; calls back when it may. For fleets that bound their rate. */
  gate?: (connect: () => void) => void
  faults?: readonly Fault[]
  nowMs?: () => number
  random?: () => number
}

export type Simulator = {
  readonly events: EventEmitter<SimulatorEvents>
  readonly controllerId: string | null
  readonly isOnline: boolean
  /** The state behind the page; null when another handler answers. */
  readonly page: PageModel | null
  start(): void
  /** Closes with 1000 and resolves when the socket is gone. No further events. */
  stop(): Promise<void>
  /** Cuts the socket without a goodbye; it comes back by itself, with its streams where it can resume them. */
  cut(): void
  /** From now on the socket neither reads nor writes: half-open, until the device notices the silence after 80 s. */
  freeze(): void
  /** From now on the socket carries so many bytes per second. */
  slowDown(bytesPerSec: number): void
  /** Sends something as it is: text, or bytes as a binary message. */
  sendRaw(message: string | Uint8Array): void
  /** Requests and WebSockets that are not over, on the newest tunnel. */
  readonly inFlight: number
  /** The dialect spoken now. */
  readonly dialect: 'v1' | 'v2' | null
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void
  /** Sends metric values now (or at the next connection). */
  report(values: Record<string, number>): void
  /** Batches that are not acknowledged yet. */
  readonly unacknowledged: number
}

/** Puts a controller together; nothing happens before `start`. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const { token = null, reportEveryMs = 5_000 } = options
  const nowMs = options.nowMs ?? Date.now
  const random = options.random ?? Math.random
  const profile = PROFILES[options.profile ?? 'device']
  const limits: DeviceLimits = {
    ...profile.limits,
    ...(options.maxStreams ? { maxStreams: options.maxStreams } : {}),
  }
  const features = options.features ?? profile.features
  const store = options.store ?? createMemoryStore()
  const events = new EventEmitter<SimulatorEvents>()
  const stored = store.load()
  const mac = stored?.mac ?? options.description?.mac ?? randomMac()
  const modelName = options.description?.model ?? 'WMOC Sim 1'
  const firmware = options.description?.firmware_version ?? '1.0.0'
  const model = createPageModel({ model: modelName, firmware, nowMs, random })
  const page = options.handler ? null : model

  let session = newSession({ current: stored?.current ?? null, next: stored?.next ?? null }, token, features)
  let bootId = randomBytes(8).toString('hex')
  let outbox = createOutbox()
  let commands: CommandRunner | null = null
  let reconnectTimer: NodeJS.Timeout | undefined
  let reportTimer: NodeJS.Timeout | undefined
  let retryInMs: number | null = null

  const faults = createFaults(options.faults ?? [], random)
  const tunnels = createTunnels({
    url: options.url,
    protocol: options.protocol ?? 'auto',
    handlers: faults.wrap(handlersOf(options, model, (sentence) => simulator.log('info', sentence))),
    limits,
    canFollow: features.includes('follow'),
    onOpen: () => dispatch({ type: 'opened' }),
    onMessage: (message) => dispatch({ type: 'message', message }),
    onRequest: (request) => void events.emit('request', request),
    onFault: (error) => void events.emit('fault', error),
    onLeft: (code) => void events.emit('left', { code }),
    onClose(code, reason, isResumable) {
      if (!session.reconnectPlanned) retryInMs = null
      dispatch({ type: 'closed', code, isResumable })
      events.emit('closed', { code, reason, retryInMs })
    },
  })

  function description(): DeviceCredentials {
    return {
      mac,
      firmware_version: firmware,
      model: modelName,
      boot_id: bootId,
      max_streams: limits.maxStreams,
      max_request_body: limits.maxRequestBody,
      max_req_header: limits.maxRequestHeader,
      ...(features.length > 0 ? { features: [...features] } : {}),
      ...options.description,
    }
  }

  function dispatch(event: SessionEvent): void {
    const step = stepSession(session, event, { description: description(), random: random() })
    session = step.state
    for (const effect of step.effects) perform(effect)
  }

  function perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        return tunnels.send(effect.message)
      case 'save':
        return store.save({ mac, ...effect.slots })
      case 'connect':
        return connect(effect.shard)
      case 'connect_after':
        retryInMs = effect.afterMs
        clearTimeout(reconnectTimer)
        reconnectTimer = setTimeout(() => dispatch({ type: 'due' }), effect.afterMs)
        return
      case 'close':
        return tunnels.close()
      case 'leave':
        return tunnels.leave()
      case 'finish':
        return tunnels.finish()
      case 'activation_required':
        // Who waits to be claimed stays the same device when the power goes.
        if (!store.load()) store.save({ mac, current: null, next: null })
        events.emit('activationRequired', effect.message)
        return
      case 'registered':
        return onRegistered(effect)
      case 'draining':
        return
      case 'deliver':
        return deliver(effect.message)
      case 'stopped':
        halt()
        events.emit('stopped', effect.reason)
    }
  }

  function connect(shard: string | null): void {
    if (!options.gate) return tunnels.connect(shard)
    options.gate(() => session.phase === 'offline' && !tunnels.newest && tunnels.connect(shard))
  }

  function onRegistered({ message, issued }: Extract<SessionEffect, { type: 'registered' }>): void {
    if (tunnels.newest) faults.online(tunnels.newest.line)
    outbox.reconnected()
    flush()
    events.emit('registered', message, issued)
  }

  function deliver(message: Extract<SessionEffect, { type: 'deliver' }>['message']): void {
    if (message.type === 'command') return void runCommand(message)
    outbox.acknowledge(message.seq)
    events.emit('acknowledged', message.seq)
  }

  async function runCommand(
    command: Extract<SessionEffect, { type: 'deliver' }>['message'] & { type: 'command' },
  ) {
    commands ??= createCommandRunner({
      store,
      nowMs,
      handlers: {
        ...deviceCommands({ page, log: (text) => simulator.log('info', text), reboot }),
        ...options.commands,
      },
    })
    try {
      const { result, isRepeated } = await commands.run(command)
      if (!result) return
      tunnels.send(result)
      events.emit('command', { id: command.id, name: command.name, ok: result.ok, repeated: isRepeated })
    } catch (error) {
      // A journal that cannot be written: not answered, so the platform asks again.
      events.emit('fault', asError(error))
    }
  }

  /** As a real one: answers first, then is gone for a moment and comes back with nothing in memory. */
  function reboot(): void {
    setTimeout(() => {
      bootId = randomBytes(8).toString('hex')
      outbox = createOutbox()
      if (page) page.bootedAtMs = nowMs()
      simulator.log('info', 'booted')
      tunnels.powerCut()
    }, 250)
  }

  function flush(): void {
    if (session.phase !== 'online') return
    for (const batch of outbox.due(nowMs())) tunnels.send(batch)
  }

  function tick(): void {
    if (page) outbox.add({ type: 'metrics', items: metricItems(page.read(), nowMs()) })
    else
      outbox.add({
        type: 'metrics',
        items: [{ type: 'uptime', value: Math.floor(process.uptime()), timestamp: nowMs() }],
      })
    const { newest } = tunnels
    const wrong = newest?.dialect && faults.spoil(newest.dialect)
    if (wrong) newest.line.send(wrong)
    flush()
  }

  function halt(): void {
    clearTimeout(reconnectTimer)
    clearInterval(reportTimer)
    void tunnels.stop()
  }

  const simulator: Simulator = {
    events,
    page,
    get controllerId() {
      return session.current?.controller_id ?? null
    },
    get isOnline() {
      return session.phase === 'online' || tunnels.hasLeft
    },
    get inFlight() {
      return tunnels.newest?.inFlight ?? 0
    },
    get dialect() {
      return tunnels.newest?.dialect ?? null
    },
    get unacknowledged() {
      return outbox.waiting
    },
    start() {
      simulator.log('info', 'booted')
      if (reportEveryMs > 0) reportTimer = setInterval(tick, reportEveryMs)
      dispatch({ type: 'due' })
    },
    async stop() {
      dispatch({ type: 'stop' })
      await tunnels.stop()
    },
    cut: () => tunnels.newest?.line.cut(),
    freeze: () => tunnels.newest?.line.freeze(),
    slowDown: (bytesPerSec) => tunnels.newest?.line.slowDown(bytesPerSec),
    sendRaw: (message) => tunnels.newest?.line.send(message),
    log(level, message) {
      outbox.add({ type: 'log', items: [{ level, message, timestamp: nowMs() }] })
      flush()
    },
    report(values) {
      const items = Object.entries(values).map(([type, value]) => ({ type, value, timestamp: nowMs() }))
      outbox.add({ type: 'metrics', items })
      flush()
    },
  }
  return simulator
}

/** The own page is made at the first visit: an idle device of a fleet stays small. */
function handlersOf(
  { handler, socketHandler }: SimulatorOptions,
  model: PageModel,
  onChange: (sentence: string) => void,
): Handlers {
  if (handler) return { request: handler, socket: socketHandler ?? refuseSocket }
  let page: Handlers | null = null
  const own = () => (page ??= createPage(model, onChange))
  return {
    request: (request, sink) => own().request(request, sink),
    socket: (request, socket) => own().socket(request, socket),
  }
}

const refuseSocket: SocketHandler = (_, socket) =>
  socket.refuse(501, { 'content-type': 'text/plain' }, Buffer.from('no WebSockets here\n'))

/** Locally administered, so it never is a real device's (IEEE 802, second bit of the first byte). */
function randomMac(): string {
  const bytes = randomBytes(6)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':')
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

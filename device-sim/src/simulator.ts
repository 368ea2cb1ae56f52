/** One simulated controller: session, socket, page or upstream, telemetry and commands put together. */
import { EventEmitter } from 'node:events'
import { randomBytes } from 'node:crypto'
import type {
  ActivationRequired,
  ClientMessage,
  DeviceCredentials,
  Registered,
} from '@wmoc/protocol/messages'
import { DEFAULT_CHUNK_BYTES } from '@wmoc/protocol/v1-body'
import { createCommandRunner, type CommandHandler, type CommandRunner } from './device/commands.ts'
import { createExchange, type RequestHandler } from './device/exchange.ts'
import { createFaults, type Fault } from './device/faults.ts'
import { createOutbox } from './device/outbox.ts'
import {
  newSession,
  stepSession,
  type Credentials,
  type SessionEffect,
  type SessionEvent,
} from './device/session.ts'
import { createMemoryStore, type DeviceStore } from './device/store.ts'
import { openTunnel, type Tunnel } from './device/tunnel.ts'
import { metricItems } from './device/sensors.ts'
import { deviceCommands } from './device/device-commands.ts'
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
  /** A handler failed, or a message of the gateway was none. */
  fault: [Error]
  /** For good: revoked, or `stop` was called. */
  stopped: ['revoked' | 'asked']
}

export type SimulatorOptions = {
  /** ws:// or wss:// address of the tunnel. */
  url: string
  /** Activation token for the first connection; without token and credentials it asks to be claimed. */
  token?: string
  /** Default: in memory. */
  store?: DeviceStore
  /** Fields of `register`; a mac is made and stored when none is given. */
  description?: DeviceCredentials
  /** Answers the requests; default: the controller's own page. */
  handler?: RequestHandler
  /** Commands it obeys beside its own, by name. */
  commands?: Readonly<Record<string, CommandHandler>>
  /** Time between metrics; 0: none. Default 5,000. */
  reportEveryMs?: number
  /** Requests at once; announced. Default 8. */
  maxStreams?: number
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
  /** Cuts the socket as a power cut would; it comes back by itself. */
  cut(): void
  log(level: 'debug' | 'info' | 'warn' | 'error', message: string): void
  /** Sends metric values now (or at the next connection). */
  report(values: Record<string, number>): void
  /** Batches that are not acknowledged yet. */
  readonly unacknowledged: number
}

/** Puts a controller together; nothing happens before `start`. */
export function createSimulator(options: SimulatorOptions): Simulator {
  const { url, token = null, handler, reportEveryMs = 5_000, maxStreams = 8 } = options
  const nowMs = options.nowMs ?? Date.now
  const random = options.random ?? Math.random
  const store = options.store ?? createMemoryStore()
  const events = new EventEmitter<SimulatorEvents>()
  const stored = store.load()
  const mac = stored?.mac ?? options.description?.mac ?? randomMac()
  const modelName = options.description?.model ?? 'WMOC Sim 1'
  const firmware = options.description?.firmware_version ?? '1.0.0'
  const model = createPageModel({ model: modelName, firmware, nowMs, random })
  const page = handler ? null : model

  let session = newSession({ current: stored?.current ?? null, next: stored?.next ?? null }, token)
  let bootId = randomBytes(8).toString('hex')
  let outbox = createOutbox()
  let commands: CommandRunner | null = null
  let tunnel: Tunnel | null = null
  let reconnectTimer: NodeJS.Timeout | undefined
  let reportTimer: NodeJS.Timeout | undefined
  let retryInMs: number | null = null
  let maxChunkBytes = DEFAULT_CHUNK_BYTES

  const faults = createFaults(options.faults ?? [], random)
  let ownPage: RequestHandler | null = null
  const answer: RequestHandler = (request, sink) => {
    if (handler) return handler(request, sink)
    // Made at the first visit: an idle device of a fleet stays small.
    ownPage ??= createPage(model, (sentence) => simulator.log('info', sentence))
    return ownPage(request, sink)
  }
  const exchange = createExchange({
    handler: faults.wrap(answer),
    send,
    maxStreams,
    maxChunkBytes: () => maxChunkBytes,
    onError: (error) => events.emit('fault', asError(error)),
  })

  function description(): DeviceCredentials {
    return {
      mac,
      firmware_version: firmware,
      model: modelName,
      boot_id: bootId,
      max_streams: maxStreams,
      max_request_body: 1_048_576,
      max_req_header: 4_096,
      ...options.description,
    }
  }

  async function send(message: ClientMessage): Promise<void> {
    await tunnel?.send(message)
  }

  function dispatch(event: SessionEvent): void {
    const step = stepSession(session, event, { description: description(), random: random() })
    session = step.state
    for (const effect of step.effects) perform(effect)
  }

  function perform(effect: SessionEffect): void {
    switch (effect.type) {
      case 'send':
        void send(effect.message)
        break
      case 'save':
        store.save({ mac, ...effect.slots })
        break
      case 'connect':
        connect()
        break
      case 'connect_after':
        retryInMs = effect.afterMs
        clearTimeout(reconnectTimer)
        reconnectTimer = setTimeout(() => dispatch({ type: 'due' }), effect.afterMs)
        break
      case 'close':
        tunnel?.close()
        tunnel = null
        exchange.abandon()
        break
      case 'activation_required':
        // Who waits to be claimed stays the same device when the power goes.
        if (!store.load()) store.save({ mac, current: null, next: null })
        events.emit('activationRequired', effect.message)
        break
      case 'registered':
        maxChunkBytes = Math.min(DEFAULT_CHUNK_BYTES, effect.message.limits.maxResponseBody)
        outbox.reconnected()
        flush()
        events.emit('registered', effect.message, effect.issued)
        break
      case 'draining':
        break
      case 'deliver':
        deliver(effect.message)
        break
      case 'stopped':
        halt()
        events.emit('stopped', effect.reason)
        break
    }
  }

  function deliver(message: Extract<SessionEffect, { type: 'deliver' }>['message']): void {
    switch (message.type) {
      case 'http_request':
        events.emit('request', message)
        return exchange.accept(message)
      case 'http_cancel':
        return exchange.cancel(message.id)
      case 'ack':
        outbox.acknowledge(message.seq)
        events.emit('acknowledged', message.seq)
        return
      case 'command':
        void runCommand(message)
    }
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
      await send(result)
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
      simulator.cut()
    }, 250)
  }

  function connect(): void {
    const opened = openTunnel(url, {
      onOpen: () => tunnel === opened && dispatch({ type: 'opened' }),
      onMessage: (message) => tunnel === opened && dispatch({ type: 'message', message }),
      onFault: (error) => events.emit('fault', error),
      onClose(code, reason) {
        if (tunnel !== opened) return
        tunnel = null
        exchange.abandon()
        if (!session.reconnectPlanned) retryInMs = null
        dispatch({ type: 'closed', code })
        events.emit('closed', { code, reason, retryInMs })
      },
    })
    tunnel = opened
  }

  function flush(): void {
    if (session.phase !== 'online') return
    for (const batch of outbox.due(nowMs())) void send(batch)
  }

  function tick(): void {
    if (page) outbox.add({ type: 'metrics', items: metricItems(page.read(), nowMs()) })
    else
      outbox.add({
        type: 'metrics',
        items: [{ type: 'uptime', value: Math.floor(process.uptime()), timestamp: nowMs() }],
      })
    faults.spoil((text) => tunnel?.sendRaw(text))
    flush()
  }

  function halt(): void {
    clearTimeout(reconnectTimer)
    clearInterval(reportTimer)
    exchange.abandon()
  }

  const simulator: Simulator = {
    events,
    page,
    get controllerId() {
      return session.current?.controller_id ?? null
    },
    get isOnline() {
      return session.phase === 'online'
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
      const closing = tunnel
      dispatch({ type: 'stop' })
      await closing?.closed
    },
    cut: () => tunnel?.cut(),
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

/** Locally administered, so it never is a real device's (IEEE 802, second bit of the first byte). */
function randomMac(): string {
  const bytes = randomBytes(6)
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join(':')
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}

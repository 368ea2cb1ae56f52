/** The tunnels of one device: the newest, those it has left, and streams that wait for the next one. */
import { CLOSE } from '@wmoc/protocol/close-codes'
import { V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { SuspendedStreams } from './dialect.ts'
import type { Handlers } from './handler.ts'
import type { DeviceLimits } from './profile.ts'
import type { ControlMessage, DeviceMessage } from './session.ts'
import { openTunnel, type ProtocolName, type Tunnel } from './tunnel.ts'

/** A tunnel that was left is the gateway's to close; one that it forgot is closed when it was idle for so long. */
const LEFT_MS = 30_000
/** Requests in flight hold up a device's move no longer. */
const FINISH_MS = 60_000
/** Idle for so long: the gateway closes first, because it knows whether a request is on its way here. */
const GIVE_WAY_MS = 1_000
/** No close frame came: the line was lost. */
const LOST = 1006

export interface Tunnels {
  /** Opens the newest; at that shard when there is one. */
  connect(shard: string | null): void
  /** Over the newest that is registered, else over one that was left; `register` always over the newest. */
  send(message: DeviceMessage): void
  /** The newest takes no part any more, and ends when what was begun there is done. */
  leave(): void
  /** Closes the newest once nothing is in flight. */
  finish(): void
  /** Closes the newest; nothing is heard of it any more. */
  close(): void
  /** Cuts the newest without a goodbye, and forgets what was in flight. */
  powerCut(): void
  /** Closes everything; resolves when the sockets are gone. */
  stop(): Promise<void>
  readonly newest: Tunnel | null
  /** One that was left still serves. */
  readonly hasLeft: boolean
}

export interface TunnelsOptions {
  readonly url: string
  readonly protocol: ProtocolName
  readonly handlers: Handlers
  readonly limits: DeviceLimits
  /** It can connect to the shard where its streams wait. */
  readonly canFollow: boolean
  onOpen(): void
  onMessage(message: ControlMessage): void
  onRequest(request: { method: string; path: string }): void
  onFault(error: Error): void
  /** The newest closed. `isResumable`: its streams wait for the next one. */
  onClose(code: number, reason: string, isResumable: boolean): void
  /** One that was left closed. */
  onLeft(code: number): void
}

export function createTunnels(options: TunnelsOptions): Tunnels {
  let newest: Tunnel | null = null
  let isRegistered = false
  let isFinishing = false
  let finishTimer: NodeJS.Timeout | undefined
  let idleTimer: NodeJS.Timeout | undefined
  const closing = new Set<Promise<void>>()
  const left = new Map<Tunnel, NodeJS.Timeout>()
  let suspended: SuspendedStreams | null = null
  let suspendedTimer: NodeJS.Timeout | undefined
  /** Where they wait; tried once. */
  let home: string | null = null

  function connect(shard: string | null): void {
    isRegistered = false
    const opened: Tunnel = openTunnel({
      ...options,
      url: addressOf(options.url, shard ?? home),
      suspended,
      onOpen: () => opened === newest && options.onOpen(),
      onMessage: (message) => hear(opened, message),
      onDone: () => opened === newest && isFinishing && closeWhenIdle(),
      onClose: (code, reason) => (opened === newest ? onClose(opened, code, reason) : onLeft(opened, code)),
    })
    newest = opened
    home = null
  }

  function hear(from: Tunnel, message: ControlMessage): void {
    if (from === newest) {
      if (message.type === 'registered') onRegistered(from)
      options.onMessage(message)
    } else if (left.has(from) && (message.type === 'command' || message.type === 'ack')) {
      options.onMessage(message)
    }
  }

  function onRegistered(from: Tunnel): void {
    isRegistered = true
    clearTimeout(suspendedTimer)
    if (from.dialect === 'v1') suspended?.abandon()
    suspended = null
  }

  function onClose(closed: Tunnel, code: number, reason: string): void {
    forgetNewest()
    const streams = closed.takeStreams()
    const isResumable = streams !== null && code === LOST && isRegistered
    if (isResumable) keep(streams)
    else streams?.abandon()
    options.onClose(code, reason, isResumable)
  }

  function keep(streams: SuspendedStreams): void {
    suspended = streams
    home = options.canFollow ? streams.shard : null
    suspendedTimer = setTimeout(abandonSuspended, V2_LIMITS.resumeMs)
  }

  function abandonSuspended(): void {
    clearTimeout(suspendedTimer)
    suspended?.abandon()
    suspended = null
  }

  function onLeft(closed: Tunnel, code: number): void {
    closed.takeStreams()?.abandon()
    if (!left.has(closed)) return
    clearTimeout(left.get(closed))
    left.delete(closed)
    options.onLeft(code)
    if (code === CLOSE.revoked.code) options.onClose(code, '', false)
  }

  function forgetNewest(): void {
    newest = null
    isFinishing = false
    clearTimeout(finishTimer)
    clearTimeout(idleTimer)
  }

  function closeWhenIdle(): void {
    clearTimeout(idleTimer)
    idleTimer = setTimeout(() => {
      if (isFinishing && newest?.inFlight === 0) newest.line.close()
    }, GIVE_WAY_MS)
  }

  function goodbye(tunnel: Tunnel): void {
    tunnel.line.close()
    tunnel.takeStreams()?.abandon()
    closing.add(tunnel.line.closed)
    void tunnel.line.closed.then(() => closing.delete(tunnel.line.closed))
  }

  return {
    connect,
    send(message) {
      const isForNewest = message.type === 'register' || isRegistered
      const target = isForNewest ? newest : [...left.keys()].at(-1)
      target?.send(message)
    },
    leave() {
      const leaving = newest
      if (!leaving) return
      forgetNewest()
      const check = () => {
        if (isRegistered && leaving.inFlight === 0) leaving.line.close()
        else left.set(leaving, setTimeout(check, LEFT_MS))
      }
      left.set(leaving, setTimeout(check, LEFT_MS))
    },
    finish() {
      isFinishing = true
      finishTimer = setTimeout(() => newest?.line.close(), FINISH_MS)
      closeWhenIdle()
    },
    close() {
      const last = newest
      forgetNewest()
      if (last) goodbye(last)
    },
    powerCut() {
      abandonSuspended()
      newest?.takeStreams()?.abandon()
      newest?.line.cut()
    },
    async stop() {
      abandonSuspended()
      const all = [...(newest ? [newest] : []), ...left.keys()]
      forgetNewest()
      for (const timer of left.values()) clearTimeout(timer)
      left.clear()
      for (const tunnel of all) goodbye(tunnel)
      await Promise.all(closing)
    },
    get newest() {
      return newest
    },
    get hasLeft() {
      return left.size > 0
    },
  }
}

function addressOf(url: string, shard: string | null): string {
  if (shard === null) return url
  const address = new URL(url)
  address.searchParams.set('shard', shard)
  return address.href
}

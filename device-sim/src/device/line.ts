/** One WebSocket to the gateway: messages out no faster than it takes them, many of one turn in one write. */
import { randomFillSync } from 'node:crypto'
import type { Socket } from 'node:net'
import { WebSocket } from 'ws'
import { maskedFrame } from './masked-frame.ts'

export interface Line {
  /** The subprotocol that the gateway chose; empty before it opened. */
  readonly protocol: string
  /** False: what is sent now only waits in this process; `drained` is called when that has changed. */
  readonly hasRoom: boolean
  /** Sends one message: text, or bytes as a binary one. Nothing happens when the line is not open. */
  send(message: string | Uint8Array): void
  /** Says goodbye (1000). */
  close(): void
  /** No goodbye. */
  cut(): void
  /** When the socket is gone. */
  readonly closed: Promise<void>
  /** Neither reads nor writes from now on, until it notices the silence itself: what a dead NAT entry looks like. */
  freeze(): void
  /** Carries no more than so many bytes per second each way from now on. */
  slowDown(bytesPerSec: number): void
}

export interface LineHandlers {
  onOpen(): void
  onMessage(data: Buffer, isBinary: boolean): void
  onDrain(): void
  /** Once, also when it never opened (1006). */
  onClose(code: number, reason: string): void
}

/** Bytes that may wait in the process before a sender has to. More than Node's own mark, so that `drain` always comes. */
const HIGH_WATER_BYTES = 131_072
/** A v1 request of 16 MiB in base64, and its head. */
const MAX_PAYLOAD_BYTES = 24 * 1_048_576
/** The gateway pings each 25 s; three of them missed is a dead line. */
const SILENCE_MS = 80_000
const CLOSE_TIMEOUT_MS = 2_000

/** Connects, offering `protocols`. Certificates are verified, redirects refused, compression never offered. */
export function openLine(url: string, protocols: readonly string[], handlers: LineHandlers): Line {
  const socket = new WebSocket(url, [...protocols], {
    perMessageDeflate: false,
    followRedirects: false,
    handshakeTimeout: 10_000,
    maxPayload: MAX_PAYLOAD_BYTES,
  })
  const { promise: closed, resolve } = Promise.withResolvers<void>()
  const silence = setTimeout(() => socket.terminate(), SILENCE_MS)
  let raw: Socket | null = null
  let isCorked = false
  let isFrozen = false
  let pace: Pace | null = null

  socket.on('upgrade', ({ socket: opened }) => {
    raw = opened
    raw.on('drain', () => isOpen() && handlers.onDrain())
  })
  socket.on('open', () => handlers.onOpen())
  socket.on('ping', () => silence.refresh())
  socket.on('message', (data: Buffer, isBinary) => {
    silence.refresh()
    pace?.read(data.length)
    handlers.onMessage(data, isBinary)
  })
  // What went wrong also ends in `close`, with 1006.
  socket.on('error', () => undefined)
  socket.on('close', (code, reason) => {
    clearTimeout(silence)
    pace?.stop()
    resolve()
    handlers.onClose(code, reason.toString('utf8'))
  })

  function isOpen(): boolean {
    return socket.readyState === WebSocket.OPEN
  }

  /** All texts of this turn of the event loop leave in one system call; binary messages hold a turn's frames anyway. */
  function cork(): void {
    if (isCorked || !raw) return
    isCorked = true
    raw.cork()
    setImmediate(() => {
      isCorked = false
      raw?.uncork()
    })
  }

  function send(message: string | Uint8Array): void {
    if (!isOpen() || isFrozen) return
    if (pace) return pace.write(message)
    if (typeof message === 'string') {
      cork()
      socket.send(message)
    } else {
      // Masking byte by byte, as the library does, is the greatest cost of a big download.
      raw?.write(maskedFrame(message, nextMask()))
    }
  }

  return {
    closed,
    send,
    get protocol() {
      return socket.protocol
    },
    get hasRoom() {
      return isOpen() && !isFrozen && (pace?.hasRoom ?? socket.bufferedAmount < HIGH_WATER_BYTES)
    },
    close() {
      socket.close(1000, 'closed')
      const timer = setTimeout(() => socket.terminate(), CLOSE_TIMEOUT_MS)
      void closed.then(() => clearTimeout(timer))
    },
    cut: () => socket.terminate(),
    freeze() {
      isFrozen = true
      socket.pause()
    },
    slowDown(bytesPerSec) {
      pace?.stop()
      pace = createPace(bytesPerSec, socket, () => handlers.onDrain())
    },
  }
}

const masks = Buffer.alloc(8_192)
let nextMaskAt = masks.length

/** Four random bytes. */
function nextMask(): Uint8Array {
  if (nextMaskAt === masks.length) {
    randomFillSync(masks)
    nextMaskAt = 0
  }
  nextMaskAt += 4
  return masks.subarray(nextMaskAt - 4, nextMaskAt)
}

interface Pace {
  readonly hasRoom: boolean
  write(message: string | Uint8Array): void
  read(bytes: number): void
  stop(): void
}

/** After each message, nothing for as long as its bytes take at this speed. */
function createPace(bytesPerSec: number, socket: WebSocket, onDrain: () => void): Pace {
  const waiting: (string | Uint8Array)[] = []
  let writeTimer: NodeJS.Timeout | undefined
  let readTimer: NodeJS.Timeout | undefined
  const durationMs = (bytes: number) => (bytes * 1_000) / bytesPerSec

  function next(): void {
    writeTimer = undefined
    const message = waiting.shift()
    if (message === undefined) return onDrain()
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(message)
    writeTimer = setTimeout(next, durationMs(message.length))
  }

  return {
    get hasRoom() {
      return writeTimer === undefined && waiting.length === 0
    },
    write(message) {
      waiting.push(message)
      if (!writeTimer) next()
    },
    read(bytes) {
      socket.pause()
      clearTimeout(readTimer)
      readTimer = setTimeout(() => socket.resume(), durationMs(bytes))
    },
    stop() {
      clearTimeout(writeTimer)
      clearTimeout(readTimer)
    },
  }
}

/**
 * N idle controllers. Argument: a FleetPlan as JSON. Prints `online` when all are registered; at SIGUSR2 resets all
 * connections at once, and prints StormFigures as JSON when all are registered again.
 *
 * They come back as devices do: within a second after a loss without a word, later when they are told so.
 */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import type { FleetPlan, StormFigures } from '../fleet.ts'
import { percentile } from '../stats.ts'
import { openSocket, sendMessage } from './websocket-client.ts'

const { ports, dialect, credentials, ramp } = JSON.parse(process.argv[2]!) as FleetPlan
const FRAME_HEADER = 8
const HELLO = 1
const WELCOME = 2
const MAX_BACKOFF_MS = 8_000

const sockets = new Set<Socket>()
let refusals = 0
let online = 0
let cutAt = 0
let backMs: number[] = []

function connectDevice(register: Buffer, index: number, attempt: number): void {
  let isRegistered = false
  let toldMs = 0
  const socket = openSocket(ports[index % ports.length]!, `wmoc.${dialect}`, {
    open: () => sendMessage(socket, register, dialect === 'v2'),
    message(bytes) {
      if (isWelcome(bytes)) {
        isRegistered = true
        registered()
      }
      // Refusals say when to come back, in either dialect as JSON.
      toldMs = Number(/"reconnectAfterMs":(\d+)/.exec(bytes.toString('latin1'))?.[1] ?? toldMs)
    },
    closed(retryAfterSec) {
      sockets.delete(socket)
      if (isRegistered) online -= 1
      else refusals += 1
      const afterMs = Math.max(toldMs, retryAfterSec * 1_000)
      const jitterMs = Math.random() * Math.min(MAX_BACKOFF_MS, 1_000 * 2 ** (isRegistered ? 0 : attempt))
      const waitMs = afterMs > 0 ? afterMs + Math.random() * 250 : jitterMs
      setTimeout(() => connectDevice(register, index, isRegistered ? 0 : attempt + 1), waitMs)
    },
  })
  sockets.add(socket)
}

function isWelcome(bytes: Buffer): boolean {
  return dialect === 'v2' ? bytes[0] === WELCOME : bytes.indexOf('"type":"registered"') >= 0
}

function registered(): void {
  online += 1
  if (cutAt > 0) backMs.push(performance.now() - cutAt)
  if (online < registers.length) return
  if (cutAt === 0) console.log('online')
  else console.log(JSON.stringify(figures()))
}

function figures(): StormFigures {
  backMs.sort((a, b) => a - b)
  let peakPerSecond = 0
  for (let from = 0, to = 0; to < backMs.length; to++) {
    while (backMs[to]! - backMs[from]! > 1_000) from += 1
    peakPerSecond = Math.max(peakPerSecond, to - from + 1)
  }
  const [p50, p99, max] = [0.5, 0.99, 1].map((share) => percentile(backMs, share)) as [number, number, number]
  return { backMs: { p50, p99, max }, peakPerSecond, perSecond: backMs.length / (max / 1_000), refusals }
}

function registerMessage(line: string): Buffer {
  const { controllerId, secret } = JSON.parse(line) as { controllerId: string; secret: string }
  const known = { controller_id: controllerId, secret, firmware_version: '1.0.0', model: 'Bench' }
  if (dialect === 'v1') return Buffer.from(JSON.stringify({ type: 'register', credentials: known }))
  const json = Buffer.from(JSON.stringify({ credentials: known }))
  const header = Buffer.alloc(FRAME_HEADER)
  header[0] = HELLO
  header.writeUInt16BE(json.length, 6)
  return Buffer.concat([header, json])
}

const registers = readFileSync(credentials, 'utf8').trim().split('\n').map(registerMessage)
registers.forEach((register, index) =>
  setTimeout(() => connectDevice(register, index, 0), (index / ramp) * 1_000),
)

process.on('SIGUSR2', () => {
  refusals = 0
  backMs = []
  cutAt = performance.now()
  for (const socket of sockets) socket.resetAndDestroy()
})

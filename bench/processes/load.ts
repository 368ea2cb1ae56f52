/**
 * The load generator: N connections, each with one request under way, over raw sockets so that it costs less than what
 * it measures. Argument: a LoadPlan as JSON. Prints `measuring`, then LoadFigures as JSON.
 */
import { connect, type Socket } from 'node:net'
import type { LoadFigures, LoadPlan } from '../load.ts'
import { BODY_BYTES } from '../plan.ts'
import { percentile } from '../stats.ts'
import { readResponse } from './http-response.ts'

const plan = JSON.parse(process.argv[2]!) as LoadPlan
const { target, isNewConnection } = plan
const head = Object.entries({ ...target.headers, ...(isNewConnection ? { Connection: 'close' } : {}) })
const request = Buffer.from(
  `GET ${target.prefix}/data HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
)
const latenciesMs: number[] = []
const failures: Record<string, number> = {}
const sockets = new Set<Socket>()
/** Since when each socket waits for an answer. */
const waiting = new Map<Socket, number>()
const STALL_MS = 500
let isMeasuring = false
let isOver = false

function fail(reason: string): void {
  if (isMeasuring) failures[reason] = (failures[reason] ?? 0) + 1
}

function open(): void {
  if (isOver) return
  const socket = connect({ host: target.host, port: target.port, noDelay: true })
  // With a connection for each request, the handshake is part of what is timed.
  let startedAt = performance.now()
  let received: Buffer = Buffer.alloc(0)
  let isDone = false
  const ask = () => {
    if (!isNewConnection) startedAt = performance.now()
    waiting.set(socket, startedAt)
    socket.write(request)
  }
  const next = () => {
    if (isOver) return
    if (isNewConnection) {
      isDone = true
      socket.destroy()
      return open()
    }
    const waitMs = startedAt + plan.everyMs - performance.now()
    if (waitMs > 0) setTimeout(ask, waitMs)
    else ask()
  }
  sockets.add(socket)
  socket.on('connect', ask)
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const response = readResponse(received)
    if (response === null) return
    received = received.subarray(response.length)
    waiting.delete(socket)
    if (response.status !== 200) fail(`status ${response.status}`)
    else if (response.bodyBytes !== BODY_BYTES) fail('wrong body')
    else if (isMeasuring) latenciesMs.push(performance.now() - startedAt)
    next()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
  socket.on('close', () => {
    sockets.delete(socket)
    waiting.delete(socket)
    if (isOver || isDone) return
    fail('connection lost')
    setTimeout(open, 50)
  })
}

for (let i = 0; i < plan.connections; i++) open()
setTimeout(() => {
  isMeasuring = true
  const startedAt = performance.now()
  const cpuBefore = process.cpuUsage()
  console.log('measuring')
  setTimeout(() => {
    const seconds = (performance.now() - startedAt) / 1_000
    const cpu = process.cpuUsage(cpuBefore)
    isMeasuring = false
    isOver = true
    const requests = latenciesMs.length
    // Who waits long has been served worst of all, although no answer tells of it.
    for (const since of waiting.values()) {
      const waitedMs = performance.now() - since
      if (waitedMs > STALL_MS) latenciesMs.push(waitedMs)
    }
    for (const socket of sockets) socket.destroy()
    latenciesMs.sort((a, b) => a - b)
    const figures: LoadFigures = {
      requests,
      failures,
      seconds,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
      maxMs: percentile(latenciesMs, 1),
      generatorCpu: (cpu.user + cpu.system) / 1_000_000 / seconds,
    }
    console.log(JSON.stringify(figures))
  }, plan.measureMs)
}, plan.warmupMs)

/**
 * The load generator: N keep-alive connections, each with one request under way, over raw sockets so that it costs less
 * than what it measures. Argument: a LoadPlan as JSON. Prints `measuring`, then a LoadFigures as JSON.
 */
import { connect, type Socket } from 'node:net'
import type { LoadFigures, LoadPlan } from '../plan.ts'
import { percentile } from '../stats.ts'
import { readResponse } from './http-response.ts'

const plan = JSON.parse(process.argv[2]!) as LoadPlan
const head = Object.entries(plan.headers).map(([name, value]) => `${name}: ${value}\r\n`)
const request = Buffer.from(`GET ${plan.path} HTTP/1.1\r\n${head.join('')}\r\n`)
const latenciesMs: number[] = []
const failures: Record<string, number> = {}
const sockets = new Set<Socket>()
let isMeasuring = false
let isOver = false

function fail(reason: string): void {
  if (isMeasuring) failures[reason] = (failures[reason] ?? 0) + 1
}

function open(): void {
  const socket = connect({ host: plan.host, port: plan.port, noDelay: true })
  let startedAt = 0
  let received: Buffer = Buffer.alloc(0)
  const next = () => {
    startedAt = performance.now()
    socket.write(request)
  }
  sockets.add(socket)
  socket.on('connect', next)
  socket.on('data', (chunk) => {
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
    const response = readResponse(received)
    if (response === null) return
    received = received.subarray(response.length)
    if (response.status !== 200) fail(`status ${response.status}`)
    else if (response.bodyBytes !== plan.bodyBytes) fail('wrong body')
    else if (isMeasuring) latenciesMs.push(performance.now() - startedAt)
    if (!isOver) next()
  })
  socket.on('error', (error: NodeJS.ErrnoException) => fail(error.code ?? error.message))
  socket.on('close', () => {
    sockets.delete(socket)
    if (isOver) return
    fail('connection lost')
    setTimeout(open, 50)
  })
}

for (let i = 0; i < plan.connections; i++) open()
setTimeout(() => {
  isMeasuring = true
  const startedAt = performance.now()
  console.log('measuring')
  setTimeout(() => {
    const seconds = (performance.now() - startedAt) / 1_000
    isMeasuring = false
    isOver = true
    for (const socket of sockets) socket.destroy()
    latenciesMs.sort((a, b) => a - b)
    const figures: LoadFigures = {
      requests: latenciesMs.length,
      failures,
      seconds,
      p50Ms: percentile(latenciesMs, 0.5),
      p99Ms: percentile(latenciesMs, 0.99),
    }
    console.log(JSON.stringify(figures))
  }, plan.measureMs)
}, plan.warmupMs)

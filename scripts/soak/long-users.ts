/** People who stay: a stream of events, a WebSocket, an upload that takes its time. Each begins anew when it has ended. */
import { request as httpRequest } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { expected } from './ask.ts'
import type { FleetDevice } from './fleet.ts'

export interface LongOptions {
  /** Asked at each beginning. */
  readonly port: () => number
  readonly device: FleetDevice
  readonly token: () => string
  /** Makes paths unique. */
  readonly name: string
  readonly uploadMs: number
  /** An upload was answered well. */
  readonly onPost: (path: string) => void
}

export interface LongReport {
  readonly opened: number
  /** Events, echoes, or uploads answered well. */
  readonly messages: number
  /** Ended between two events, or with close code 1012. */
  readonly endedCleanly: number
  /** Ended in any other way. */
  readonly cut: number
  /** Could not begin. */
  readonly refused: number
  /** Longest time between two messages. */
  readonly longestGapMs: number
  readonly problems: readonly string[]
}

export interface LongUser {
  stop(): Promise<LongReport>
}

const SERVICE_RESTART = 1012
const AGAIN_MS = 250

type Outcome = { readonly as: 'endedCleanly' | 'cut' | 'refused' | 'done'; readonly why?: string }
type Heard = () => void

/** Repeats `live` until the end; `stop` aborts the signal, after which nothing counts. */
function repeat(
  kind: string,
  live: (heard: Heard, signal: AbortSignal, turn: number) => Promise<Outcome>,
): LongUser {
  const counts = { opened: 0, messages: 0, endedCleanly: 0, cut: 0, refused: 0, longestGapMs: 0 }
  const problems: string[] = []
  const ending = new AbortController()
  let lastAt = performance.now()
  const heard = () => {
    const now = performance.now()
    counts.messages += 1
    counts.longestGapMs = Math.max(counts.longestGapMs, now - lastAt)
    lastAt = now
  }
  async function run(): Promise<void> {
    for (let turn = 0; !ending.signal.aborted; turn += 1) {
      counts.opened += 1
      const { as, why } = await live(heard, ending.signal, turn)
      if (ending.signal.aborted) return
      if (as !== 'done') counts[as] += 1
      if (as === 'cut' || as === 'refused') {
        problems.push(`${new Date().toISOString().slice(11, 23)} ${kind}, ${as}: ${why ?? ''}`)
        await sleep(AGAIN_MS)
      }
    }
  }
  const running = run()
  return {
    async stop() {
      ending.abort()
      await running
      return { ...counts, problems }
    },
  }
}

function open(options: LongOptions, path: string, method: 'GET' | 'POST', signal: AbortSignal) {
  return httpRequest({
    agent: false,
    host: '127.0.0.1',
    port: options.port(),
    method,
    path: `/c/${options.device.controller_id}${path}`,
    headers: { host: 'localhost', authorization: `Bearer ${options.token()}` },
    signal,
  })
}

/** `GET /events`: numbered events of the right device, from 0 without a hole in each stream. */
export function createStreamUser(options: LongOptions): LongUser {
  return repeat(
    options.device.kind,
    (heard, signal) =>
      new Promise((resolve) => {
        const call = open(options, '/events', 'GET', signal)
        call.once('error', (error) => resolve({ as: 'refused', why: error.message }))
        call.once('response', (response) => resolve(readEvents(response, options.device, heard)))
        call.end()
      }),
  )
}

async function readEvents(response: IncomingMessage, device: FleetDevice, heard: Heard): Promise<Outcome> {
  let rest = ''
  let next = 0
  response.setEncoding('utf8')
  if (response.statusCode !== 200) {
    const words = await text(response).catch(() => '')
    return { as: 'refused', why: `${response.statusCode} ${words.slice(0, 200)}` }
  }
  try {
    for await (const chunk of response as AsyncIterable<string>) {
      const events = (rest + chunk).split('\n\n')
      rest = events.pop()!
      for (const event of events) {
        if (event !== `data: ${device.controller_id} ${next}`)
          return { as: 'cut', why: `not event ${next}: ${event}` }
        next += 1
        heard()
      }
    }
  } catch (error) {
    return { as: 'cut', why: String(error) }
  }
  return rest === '' ? { as: 'endedCleanly' } : { as: 'cut', why: `ended inside an event: ${rest}` }
}

/** `/ws`: a message each 250 ms, answered by the right device. */
export function createSocketUser(options: LongOptions): LongUser {
  return repeat(
    options.device.kind,
    (heard, signal) =>
      new Promise((resolve) => {
        const socket = new WebSocket(
          `ws://127.0.0.1:${options.port()}/c/${options.device.controller_id}/ws`,
          { headers: { host: 'localhost', authorization: `Bearer ${options.token()}` } },
        )
        let n = 0
        let wrong: string | null = null
        let isOpen = false
        const say = () => socket.send(String(n))
        const timer = setInterval(() => isOpen && n > 0 && say(), AGAIN_MS)
        socket.on('open', () => {
          isOpen = true
          say()
        })
        socket.on('message', (data: Buffer) => {
          if (!data.toString().startsWith(`${options.device.controller_id} `))
            wrong = data.toString().slice(0, 100)
          n += 1
          heard()
        })
        socket.on('error', (error) => {
          if (!isOpen) resolve({ as: 'refused', why: error.message })
        })
        socket.on('close', (code) => {
          clearInterval(timer)
          if (wrong !== null) resolve({ as: 'cut', why: `wrong answer: ${wrong}` })
          else
            resolve(
              code === SERVICE_RESTART ? { as: 'endedCleanly' } : { as: 'cut', why: `close code ${code}` },
            )
        })
        signal.addEventListener('abort', () => socket.terminate())
      }),
  )
}

const PIECES = 16
const PIECE = Buffer.alloc(8_192, 'upload')

/** `POST /upload/…`: 128 KB, spread over `uploadMs`; the answer tells that every byte came. */
export function createUploadUser(options: LongOptions): LongUser {
  return repeat(options.device.kind, async (heard, signal, turn) => {
    const path = `/upload/${options.name}-${turn}`
    const call = open(options, path, 'POST', signal)
    call.setHeader('content-length', PIECES * PIECE.length)
    const answered = new Promise<Outcome>((resolve) => {
      call.once('error', (error) => resolve({ as: 'cut', why: error.message }))
      call.once('response', (response) => {
        const wanted = expected(options.device, path, Buffer.concat(Array<Buffer>(PIECES).fill(PIECE)))
        text(response).then(
          (answer) => {
            const isRight = response.statusCode === 200 && answer === wanted
            resolve(
              isRight ? { as: 'done' } : { as: 'cut', why: `${response.statusCode} ${answer.slice(0, 200)}` },
            )
          },
          (error: unknown) => resolve({ as: 'cut', why: String(error) }),
        )
      })
    })
    for (let piece = 0; piece < PIECES && !call.destroyed; piece += 1) {
      call.write(PIECE)
      await sleep(options.uploadMs / PIECES, undefined, { signal }).catch(() => {})
    }
    call.end()
    const outcome = await answered
    if (outcome.as === 'done') {
      heard()
      options.onPost(path)
    }
    return outcome
  })
}

/** HTTP by hand over a raw socket, for input that no client library agrees to send. */
import { connect } from 'node:net'

export interface RawAnswer {
  readonly bytes: Buffer
  /** Latin-1, so that every byte is one character. */
  readonly text: string
  /** Status of each response on the connection, in order. */
  readonly statuses: readonly number[]
  /** The other side ended the connection; false: `timeoutMs` passed and it was still open. */
  readonly isClosed: boolean
}

export interface RawOptions {
  readonly host?: string
  /** How long to read at most; default 2 s. */
  readonly timeoutMs?: number
  /** Read on until so many responses have begun and nothing has come for `quietMs`, so that a busy machine is not a lost answer. */
  readonly responses?: number
  readonly quietMs?: number
  /** Pause between the parts, for input that arrives in pieces. */
  readonly pauseMs?: number
  /** Say that nothing more comes after the last part. */
  readonly end?: boolean
}

/** Sends the parts as they are and reads everything until the other side closes or the time is over. */
export async function sendRaw(
  port: number,
  parts: string | Uint8Array | readonly (string | Uint8Array)[],
  options: RawOptions = {},
): Promise<RawAnswer> {
  const socket = connect(port, options.host ?? '127.0.0.1')
  const chunks: Buffer[] = []
  let isClosed = false
  socket.on('data', (chunk) => chunks.push(chunk))
  const closed = new Promise<void>((resolve) => {
    const done = () => {
      isClosed = true
      resolve()
    }
    socket.once('end', done)
    socket.once('close', done)
    // A reset is one of the ways to say no.
    socket.once('error', done)
  })
  const list = typeof parts === 'string' || parts instanceof Uint8Array ? [parts] : parts
  for (const part of list) {
    if (isClosed) break
    socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part)
    if (options.pauseMs) await new Promise((resolve) => setTimeout(resolve, options.pauseMs))
  }
  if (options.end) socket.end()
  let timer: NodeJS.Timeout | undefined
  let quiet: NodeJS.Timeout | undefined
  await Promise.race([
    closed,
    new Promise<void>((resolve) => (timer = setTimeout(resolve, options.timeoutMs ?? 2_000))),
    new Promise<void>((resolve) => {
      const { responses, quietMs = 200 } = options
      if (responses === undefined) return
      const look = () => {
        clearTimeout(quiet)
        if (statusesOf(Buffer.concat(chunks)).length >= responses) quiet = setTimeout(resolve, quietMs)
      }
      socket.on('data', look)
      look()
    }),
  ])
  clearTimeout(timer)
  clearTimeout(quiet)
  socket.destroy()
  const bytes = Buffer.concat(chunks)
  const text = bytes.toString('latin1')
  return { bytes, text, statuses: statusesOf(bytes), isClosed }
}

function statusesOf(bytes: Buffer): number[] {
  return [...bytes.toString('latin1').matchAll(/HTTP\/1\.[01] (\d{3}) /g)].map((match) => Number(match[1]))
}

/**
 * Node's `ServerResponse` with a shorter way for the answer that nearly all are: HTTP/1.1 on a connection that stays, a
 * length that is known, and the whole body at once. Everything else is Node's own; what is written is the same to the byte.
 */
// oxlint-disable no-underscore-dangle -- the names are Node's
import { ServerResponse, STATUS_CODES } from 'node:http'

/** What Node's class keeps of a head, which its types leave out: as old as the class itself. */
interface Kept {
  _header: string | null
  _headerSent: boolean
  readonly _keepAliveTimeout: number
}

/** A name that is written as it is, one that is counted, or one that Node's own way has to look at. */
type Kind = 'plain' | 'length' | 'date' | 'special'

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
/** RFC 9110 section 5.5, as strictly as Node asks. */
const BAD_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const SPECIAL: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'expect',
  'content-disposition',
])
/** Devices choose names; those of most answers are few. */
const MAX_KINDS = 1_000
const kinds = new Map<string, Kind>()

export class LeanResponse extends ServerResponse {
  #isLean = false
  #isOut = false

  /** All of it has been handed to the operating system. */
  get isOut(): boolean {
    return this.#isOut || this.writableFinished
  }

  override writeHead(status: number, ...rest: unknown[]): this {
    const [headers] = rest
    const text =
      rest.length === 1 && Array.isArray(headers) && this.#mayBeLean(status) ? fields(headers) : null
    if (text === null) return super.writeHead(status, ...(rest as [string[]]))
    const kept = this as unknown as Kept
    this.statusCode = status
    this.statusMessage = STATUS_CODES[status] ?? 'unknown'
    kept._header = `HTTP/1.1 ${status} ${this.statusMessage}\r\n${text}${keepAlive(kept._keepAliveTimeout)}\r\n`
    this.#isLean = true
    return this
  }

  override end(body?: unknown, encoding?: unknown, done?: unknown): this {
    const kept = this as unknown as Kept
    const { socket } = this
    const isWhole = typeof body === 'string' && encoding === 'latin1' && done === undefined
    if (!isWhole || !this.#isLean || kept._headerSent || this.finished || socket?.writable !== true)
      return super.end(body, encoding as BufferEncoding, done as () => void)
    kept._headerSent = true
    this.finished = true
    socket.write(kept._header + body, 'latin1', (error) => {
      if (error || socket.errored) return
      this.#isOut = true
      this.emit('finish')
    })
    return this
  }

  #mayBeLean(status: number): boolean {
    const { req } = this
    return (
      this.shouldKeepAlive &&
      (this as unknown as Kept)._header === null &&
      req.httpVersionMajor === 1 &&
      req.httpVersionMinor === 1 &&
      req.method !== 'HEAD' &&
      req.headers.expect === undefined &&
      status >= 200 &&
      status <= 999 &&
      status !== 204 &&
      status !== 304 &&
      this.statusMessage === undefined &&
      this.getHeaderNames().length === 0
    )
  }
}

/** The lines of a head with one length and nothing else that frames; null: Node has to judge it. */
function fields(headers: readonly unknown[]): string | null {
  let text = ''
  let lengths = 0
  let isDated = false
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at]
    const value = headers[at + 1]
    if (typeof name !== 'string' || typeof value !== 'string') return null
    const kind = kinds.get(name) ?? kindOf(name)
    if (kind === 'special' || BAD_VALUE.test(value)) return null
    if (kind === 'length') lengths += 1
    if (kind === 'date') isDated = true
    text += `${name}: ${value}\r\n`
  }
  if (lengths !== 1) return null
  return isDated ? text : text + dateLine()
}

function kindOf(name: string): Kind {
  if (!NAME.test(name)) return 'special'
  const lower = name.toLowerCase()
  const kind =
    lower === 'content-length'
      ? 'length'
      : lower === 'date'
        ? 'date'
        : SPECIAL.has(lower)
          ? 'special'
          : 'plain'
  if (kinds.size >= MAX_KINDS) kinds.clear()
  kinds.set(name, kind)
  return kind
}

let date = ''
let dateAt = 0

function dateLine(): string {
  const now = Math.floor(Date.now() / 1_000)
  if (now !== dateAt) {
    dateAt = now
    date = `Date: ${new Date(now * 1_000).toUTCString()}\r\n`
  }
  return date
}

let keepAliveLines = ''
let keepAliveMs = -1

function keepAlive(timeoutMs: number): string {
  if (timeoutMs !== keepAliveMs) {
    keepAliveMs = timeoutMs
    const hint = timeoutMs > 0 ? `Keep-Alive: timeout=${Math.floor(timeoutMs / 1_000)}\r\n` : ''
    keepAliveLines = `Connection: keep-alive\r\n${hint}`
  }
  return keepAliveLines
}

/**
 * Heads and failures as they travel between shards. What only shards say to each other stands in pseudo headers, whose
 * names begin with a colon: no HTTP header has such a name, so neither a user nor a device can imitate them. They come
 * first; one that comes later is a violation.
 */
import { RESET, V2_LIMITS } from '@wmoc/protocol/v2/frames'
import type { ResetCode } from '@wmoc/protocol/v2/frames'
import type { HeaderList, RequestHead, ResponseHead } from '@wmoc/protocol/v2/mux'
import { blockOf, HEADER_NAME } from '#src/core/header-names.ts'
import type { HeaderBlock } from '#src/core/header-names.ts'
import type { DeviceHead, StreamFailure, UpstreamRequest } from '#src/core/upstream.ts'

const COLON = 58
/** V8 answers this without looking when the string is one-byte, as nearly all are. */
const BEYOND_LATIN1 = /[\u0100-\uffff]/
const isPseudo = (name: string) => name.charCodeAt(0) === COLON

/** Which tunnel a request is for: the first headers of its head. */
export function targetOf(controllerId: string, epoch: number): readonly string[] {
  return [':controller', controllerId, ':epoch', String(epoch)]
}

/** The head of a request for a tunnel. @param target As `targetOf` made it. */
export function packRequest(target: readonly string[], request: UpstreamRequest): RequestHead {
  const length = request.bodyLength === null ? [] : [':length', String(request.bodyLength)]
  const headers = target.concat(length, request.headers)
  return { method: request.method, path: request.path, headers }
}

export interface PackedRequest {
  readonly controllerId: string
  readonly epoch: number
  readonly request: UpstreamRequest
}

/** Null: no shard of ours wrote this. */
export function unpackRequest(head: RequestHead, kind: UpstreamRequest['kind']): PackedRequest | null {
  const { headers, method, path } = head
  if (headers[0] !== ':controller' || headers[2] !== ':epoch') return null
  const controllerId = headers[1]!
  const epoch = toCount(headers[3]!)
  const hasLength = headers[4] === ':length'
  const bodyLength = hasLength ? toCount(headers[5]!) : null
  if (epoch === null || (hasLength && bodyLength === null)) return null
  const rest = headers.slice(hasLength ? 6 : 4)
  if (hasPseudo(rest)) return null
  return { controllerId, epoch, request: { method, path, headers: rest, kind, bodyLength } }
}

function toCount(text: string): number | null {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
  return Number.isSafeInteger(value) ? value : null
}

/**
 * The head of a device's answer, checked as far as frames need it; the header policy stands at the user's side. Null: it
 * can't be carried.
 */
export function packResponse({ status, headers, list: carried }: DeviceHead): ResponseHead | null {
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 100 || status > 999) return null
  if (carried !== undefined) return fitsFrame(carried) ? { status, headers: carried } : null
  const list: string[] = []
  if (headers === undefined || headers === null) return { status, headers: list }
  if (typeof headers !== 'object' || Array.isArray(headers)) return null
  return addUnknown(list, headers as Record<string, unknown>) ? { status, headers: list } : null
}

/** Null: no shard of ours wrote this. */
export function unpackResponse({ status, headers }: ResponseHead): DeviceHead | null {
  return hasPseudo(headers) ? null : { status, list: headers }
}

function hasPseudo(list: HeaderList): boolean {
  for (let at = 0; at + 1 < list.length; at += 2) if (isPseudo(list[at]!)) return true
  return false
}

/** Whether headers of a device's frame fit one between shards. */
function fitsFrame(list: HeaderList): boolean {
  let bytes = 0
  for (const text of list) bytes += text.length + 4
  return bytes <= V2_LIMITS.maxHeadBytes - 64 && list.length <= 2 * V2_LIMITS.maxHeaders && !hasPseudo(list)
}

/** Name, value, name, value … of a block; undefined stays so. */
export function packTrailers(trailers: HeaderBlock | undefined): HeaderList | undefined {
  if (trailers === undefined) return undefined
  const list: string[] = []
  return addUnknown(list, trailers) && list.length > 0 ? list : undefined
}

export function unpackTrailers(trailers: HeaderList | null): HeaderBlock | undefined {
  return trailers === null || hasPseudo(trailers) ? undefined : blockOf(trailers)
}

/** Headers of whatever shape a device gave them; false: more, or other, than a frame carries. */
function addUnknown(list: string[], block: Record<string, unknown>): boolean {
  let bytes = 0
  for (const name of Object.keys(block)) {
    if (!HEADER_NAME.test(name)) return false
    const given = block[name]
    const lower = name.toLowerCase()
    const values = Array.isArray(given) ? (given as unknown[]) : null
    const count = values?.length ?? 1
    for (let at = 0; at < count; at++) {
      const value = values === null ? given : values[at]
      if (typeof value !== 'string') return false
      const octets = toOctets(value)
      bytes += lower.length + octets.length + 8
      list.push(lower, octets)
    }
    if (list.length > 2 * V2_LIMITS.maxHeaders || bytes > V2_LIMITS.maxHeadBytes - 64) return false
  }
  return true
}

/** One character per octet, as frames carry values; text beyond Latin-1 goes as its UTF-8 octets. */
function toOctets(value: string): string {
  return BEYOND_LATIN1.test(value) ? Buffer.from(value).toString('latin1') : value
}

const RESET_OF: Readonly<Record<StreamFailure, ResetCode>> = {
  device_disconnected: RESET.disconnected,
  device_offline: RESET.notHere,
  device_timeout: RESET.timeout,
  bad_device_response: RESET.badResponse,
  overloaded: RESET.overloaded,
  slow_reader: RESET.slowReader,
  not_supported: RESET.refused,
  // Said by the side that serves, it can only mean that the serving was ended.
  access_ended: RESET.cancelled,
}

export function resetOf(failure: StreamFailure): ResetCode {
  return RESET_OF[failure]
}

/** What a reset means to the user who waits. `notHere` is dealt with before, by asking elsewhere. */
export function failureOf(code: ResetCode): StreamFailure {
  switch (code) {
    case RESET.timeout:
      return 'device_timeout'
    case RESET.badResponse:
    case RESET.protocol:
      return 'bad_device_response'
    case RESET.overloaded:
      return 'overloaded'
    case RESET.slowReader:
      return 'slow_reader'
    case RESET.refused:
      return 'not_supported'
    case RESET.cancelled:
      return 'access_ended'
    default:
      return 'device_disconnected'
  }
}

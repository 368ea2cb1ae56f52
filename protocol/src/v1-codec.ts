/**
 * Dialect v1 on the wire: text of one WebSocket message ↔ a checked message. Pure; never throws on what a peer sent.
 *
 * What a fault closes the tunnel with: bytes that are no UTF-8 or no JSON 1007, JSON made to hurt 1008, larger than
 * the limit 1009, JSON that is no message of this protocol 4400.
 */
import type { z } from 'zod'
import { CLOSE, type CloseReason } from './close-codes.ts'
import { parseGuarded, type GuardFault } from './json-guard.ts'
import {
  Ack,
  ActivationRequired,
  ClientMessage,
  Command,
  CommandResult,
  ErrorMessage,
  GoAway,
  type HttpResponse,
  HttpResponse as HttpResponseSchema,
  type HttpResponseChunk,
  HttpResponseChunk as HttpResponseChunkSchema,
  HttpCancel,
  HttpRequest,
  Log,
  Metrics,
  Register,
  Registered,
  ServerMessage,
  V1_LIMITS,
} from './messages.ts'

export type Parsed<Message> =
  | { ok: true; message: Message }
  /** `detail` holds nothing the peer chose: safe for logs. */
  | { ok: false; close: CloseReason; detail: string }

type Failure = Extract<Parsed<never>, { ok: false }>

export type ParseOptions = {
  /** Bytes; default `V1_LIMITS.maxMessageBytes`. */
  maxMessageBytes?: number
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const GUARD = { maxDepth: V1_LIMITS.maxJsonDepth, maxValues: V1_LIMITS.maxJsonValues }
/** What a gateway sends is bounded by the request limits it agreed to; base64 adds a third and the head comes on top. */
const MAX_SERVER_MESSAGE_BYTES = 2 * V1_LIMITS.maxRequestBody

/** One message of a controller, as text or as the bytes of the frame. */
export function parseClientMessage(
  input: string | Uint8Array,
  options: ParseOptions = {},
): Parsed<ClientMessage> {
  const read = readJson(input, options.maxMessageBytes ?? V1_LIMITS.maxMessageBytes)
  if (!read.ok) return read
  const value = read.message
  if (isObject(value)) {
    const hot = readHot(value)
    if (hot) return { ok: true, message: hot }
  }
  return check(ClientMessage, value)
}

/** One message of the gateway, as text or as the bytes of the frame. Used by devices and tests. */
export function parseServerMessage(
  input: string | Uint8Array,
  options: ParseOptions = {},
): Parsed<ServerMessage> {
  const read = readJson(input, options.maxMessageBytes ?? MAX_SERVER_MESSAGE_BYTES)
  return read.ok ? check(ServerMessage, read.message) : read
}

/** Wire text of a message: fields in the order of the specification whatever the order they were set in. */
export function serialise(message: ClientMessage | ServerMessage): string {
  const source = message as Record<string, unknown>
  const ordered: Record<string, unknown> = {}
  for (const field of FIELDS[message.type]) if (source[field] !== undefined) ordered[field] = source[field]
  return JSON.stringify(ordered)
}

function fieldsOf(schema: { shape: Record<string, unknown> }): string[] {
  return Object.keys(schema.shape)
}

const FIELDS: Record<(ClientMessage | ServerMessage)['type'], string[]> = {
  register: fieldsOf(Register),
  http_response: fieldsOf(HttpResponseSchema),
  http_response_chunk: fieldsOf(HttpResponseChunkSchema),
  command_result: fieldsOf(CommandResult),
  metrics: fieldsOf(Metrics),
  log: fieldsOf(Log),
  activation_required: fieldsOf(ActivationRequired),
  registered: fieldsOf(Registered),
  http_request: fieldsOf(HttpRequest),
  http_cancel: fieldsOf(HttpCancel),
  command: fieldsOf(Command),
  ack: fieldsOf(Ack),
  goaway: fieldsOf(GoAway),
  error: fieldsOf(ErrorMessage),
}

const FAULT_CLOSE: Record<GuardFault, CloseReason> = {
  not_json: CLOSE.invalidUtf8,
  too_deep: CLOSE.policy,
  too_many_values: CLOSE.policy,
  duplicate_key: CLOSE.policy,
  number_out_of_range: CLOSE.policy,
  lone_surrogate: CLOSE.policy,
}

/** JSON from the other side within `maxBytes`, guarded; no schema has seen it yet. */
export function readJson(input: string | Uint8Array, maxBytes: number): Parsed<unknown> {
  // A UTF-16 unit never takes less than a byte of UTF-8, so a text that fits is never refused.
  if (input.length > maxBytes) return failure(CLOSE.tooBig, 'message_too_big')
  let text: string
  try {
    text = typeof input === 'string' ? input : decoder.decode(input)
  } catch {
    return failure(CLOSE.invalidUtf8, 'invalid_utf8')
  }
  const parsed = parseGuarded(text, GUARD)
  return parsed.ok ? { ok: true, message: parsed.value } : failure(FAULT_CLOSE[parsed.fault], parsed.fault)
}

/** What `readJson` gave, held against a schema. */
export function check<Schema extends z.ZodType>(schema: Schema, value: unknown): Parsed<z.output<Schema>> {
  const result = schema.safeParse(value)
  if (result.success) return { ok: true, message: result.data }
  const issue = result.error.issues[0]
  // Record keys in a path come from the peer; everything but plain field names is dropped.
  const path = (issue?.path ?? []).filter((part) => /^\w{1,32}$/.test(String(part))).slice(0, 4)
  return failure(CLOSE.malformed, `${issue?.code ?? 'invalid'} at ${path.join('.') || 'message'}`)
}

function failure(close: CloseReason, detail: string): Failure {
  return { ok: false, close, detail }
}

/**
 * The two messages that carry page bodies, without the schema's cost. Null means "ask the schema": either another
 * message or a bad one, so the verdict and its wording stay the schema's.
 */
function readHot(value: Record<string, unknown>): HttpResponse | HttpResponseChunk | null {
  const { type, id, body, bodyEncoding, more } = value
  if (type !== 'http_response' && type !== 'http_response_chunk') return null
  if (typeof id !== 'string' || id.length < 1 || id.length > 64) return null
  if (body !== undefined && typeof body !== 'string') return null
  if (bodyEncoding !== undefined && bodyEncoding !== 'utf8' && bodyEncoding !== 'base64') return null
  if (more !== undefined && typeof more !== 'boolean') return null
  let message: HttpResponse | HttpResponseChunk
  if (type === 'http_response') {
    if (!Object.hasOwn(value, 'status')) return null
    message = { type, id, status: value.status }
    if (Object.hasOwn(value, 'headers')) message.headers = value.headers
  } else {
    const { error } = value
    if (more === undefined) return null
    if (error !== undefined && (typeof error !== 'string' || error.length > 200)) return null
    message = { type, id, more }
    if (error !== undefined) message.error = error
  }
  if (body !== undefined) message.body = body
  if (bodyEncoding !== undefined) message.bodyEncoding = bodyEncoding
  if (more !== undefined) message.more = more
  return message
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

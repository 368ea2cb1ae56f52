/**
 * The tunnel protocol, dialect v1: JSON, one message per WebSocket text frame, no subprotocol or `wmoc.v1`.
 *
 * This file is the specification: every message, its limits and its meaning. The reference page is made from it.
 *
 * Flow:
 *   C→S register            three ways: activation token | stored credentials | nothing (asks to be claimed)
 *   S→C activation_required only in the third way; the socket stays open until a person confirms the code
 *   S→C registered          `credentials` exactly once, at activation or rotation; the device stores them
 *   S→C http_request        … C→S http_response [http_response_chunk …]
 *   S→C command             … C→S command_result
 *   C→S metrics | log       … S→C ack once the batch is durable
 *   S→C goaway | error      then the server closes
 *
 * History: v1 — the messages of the requirements document, with `ack`, `command`, `goaway`, chunks and cancel added;
 * a controller that knows only `register`, `registered`, `http_request` and `http_response` works unchanged.
 */
import { z } from 'zod'

/** Limits of dialect v1. Sizes in bytes unless the name says otherwise. */
export const V1_LIMITS = {
  /** One WebSocket message from a device; larger closes with 1009. */
  maxMessageBytes: 262_144,
  /** Body of a request that a device takes when it announced nothing. */
  defaultMaxRequestBody: 8_192,
  /** Body of one http_response or chunk message that the gateway accepts from a device that announced nothing. */
  defaultMaxResponseBody: 65_536,
  /** Requests in flight on a device that announced nothing. */
  defaultMaxStreams: 4,
  maxStreams: 256,
  maxRequestBody: 16_777_216,
  /** Bytes of request head that a device takes when it announced nothing. */
  defaultMaxRequestHeader: 512,
  maxRequestHeader: 16_384,
  maxResponseHeaders: 64,
  maxResponseHeaderBytes: 16_384,
  maxItemsPerBatch: 500,
  maxLogMessageChars: 4_096,
  maxMetricValueBytes: 2_048,
  maxCommandParamsBytes: 8_192,
  maxMetadataKeys: 64,
  /** Ports besides the page's own that a device may offer. */
  maxPagePorts: 8,
  maxJsonDepth: 16,
  /** Members and items in one message, all levels together. */
  maxJsonValues: 20_000,
  registerTimeoutMs: 10_000,
  heartbeatSec: 25,
  deadAfterMs: 75_000,
} as const

/**
 * Features that a device may announce in `credentials.features`.
 * - `overlap`: after `goaway` it opens its new tunnel before the old one ends, and finishes on the old what was begun there.
 * - `follow`: it connects to `/tunnel?shard={shard}` when `goaway` names a shard; without it the address stays as it was.
 * - `resume`: v2 only, it keeps its streams over a short loss of the connection.
 */
export const DEVICE_FEATURES = ['overlap', 'follow', 'resume'] as const
export type DeviceFeature = (typeof DEVICE_FEATURES)[number]

const mac = z
  .string()
  .regex(/^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$/, 'must look like AA:BB:CC:DD:EE:FF')
  .transform((value) => value.toUpperCase().replaceAll('-', ':'))

/** What a device says of itself; unknown fields are kept as metadata. A mac alone never authenticates. */
export const DeviceCredentials = z
  .looseObject({
    mac: mac.optional(),
    firmware_version: z.string().max(50).optional(),
    model: z.string().max(100).optional(),
    controller_id: z.uuid().optional(),
    secret: z.string().min(16).max(256).optional(),
    /** Random per boot; scopes `seq` of metrics and logs so that repeats after a reconnect are recognised. */
    boot_id: z.string().min(1).max(64).optional(),
    /** What the device can hold; the gateway never sends more. */
    max_streams: z.int().min(1).max(V1_LIMITS.maxStreams).optional(),
    max_request_body: z.int().min(0).max(V1_LIMITS.maxRequestBody).optional(),
    max_req_header: z.int().min(128).max(V1_LIMITS.maxRequestHeader).optional(),
    /** Ports besides the page's own that people may reach too; a request for one carries `x-forwarded-port`. */
    page_ports: z.array(z.int().min(1).max(65_535)).max(V1_LIMITS.maxPagePorts).optional(),
    /** What the device can do beyond this dialect's minimum, see `DEVICE_FEATURES`; unknown names are ignored. */
    features: z.array(z.string().max(30)).max(20).optional(),
  })
  .refine((value) => Object.keys(value).length <= V1_LIMITS.maxMetadataKeys, 'too many fields')
export type DeviceCredentials = z.infer<typeof DeviceCredentials>

/** A header block: a repeated header is an array. */
export const HeaderBlock = z.record(z.string(), z.union([z.string(), z.array(z.string())]))
export type HeaderBlock = z.infer<typeof HeaderBlock>

export const BodyEncoding = z.enum(['utf8', 'base64'])
export type BodyEncoding = z.infer<typeof BodyEncoding>

const seq = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
/** Milliseconds since 1970, or an RFC 3339 string; a device without a clock leaves it out and the server's time is taken. */
const timestamp = z.union([z.int().min(0), z.iso.datetime({ offset: true })])

export const Register = z.object({
  type: z.literal('register'),
  token: z.string().min(1).max(256).optional(),
  credentials: DeviceCredentials.optional(),
})
export type Register = z.infer<typeof Register>

export const HttpResponse = z.object({
  type: z.literal('http_response'),
  id: z.string().min(1).max(64),
  /** Checked by the gateway's header policy, not here: a bad status is 502 for the user, no reason to drop the tunnel. */
  status: z.unknown(),
  headers: z.unknown().optional(),
  body: z.string().optional(),
  bodyEncoding: BodyEncoding.optional(),
  /** true: `http_response_chunk` messages follow. */
  more: z.boolean().optional(),
})
export type HttpResponse = z.infer<typeof HttpResponse>

export const HttpResponseChunk = z.object({
  type: z.literal('http_response_chunk'),
  id: z.string().min(1).max(64),
  body: z.string().optional(),
  bodyEncoding: BodyEncoding.optional(),
  more: z.boolean(),
  /** The rest of the body will never come: the user's transfer is cut, never ended as if whole. */
  error: z.string().max(200).optional(),
})
export type HttpResponseChunk = z.infer<typeof HttpResponseChunk>

export const CommandResult = z.object({
  type: z.literal('command_result'),
  id: z.string().min(1).max(64),
  ok: z.boolean(),
  result: z.json().optional(),
  error: z.string().max(1_000).optional(),
})
export type CommandResult = z.infer<typeof CommandResult>

export const MetricItem = z.object({
  type: z.string().min(1).max(50),
  value: z.json(),
  timestamp: timestamp.optional(),
})
export type MetricItem = z.infer<typeof MetricItem>

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export const LogLevel = z.enum(LOG_LEVELS)
export type LogLevel = z.infer<typeof LogLevel>

export const LogItem = z.object({
  level: LogLevel,
  message: z.string().max(V1_LIMITS.maxLogMessageChars),
  timestamp: timestamp.optional(),
})
export type LogItem = z.infer<typeof LogItem>

export const Metrics = z.object({
  type: z.literal('metrics'),
  seq: seq.optional(),
  items: z.array(MetricItem).min(1).max(V1_LIMITS.maxItemsPerBatch),
})
export type Metrics = z.infer<typeof Metrics>

export const Log = z.object({
  type: z.literal('log'),
  seq: seq.optional(),
  items: z.array(LogItem).min(1).max(V1_LIMITS.maxItemsPerBatch),
})
export type Log = z.infer<typeof Log>

/** Everything a controller may send. */
export const ClientMessage = z.discriminatedUnion('type', [
  Register,
  HttpResponse,
  HttpResponseChunk,
  CommandResult,
  Metrics,
  Log,
])
export type ClientMessage = z.infer<typeof ClientMessage>

/** Asks a person to claim the device; the shape of RFC 8628 section 3.2. */
export const ActivationRequired = z.object({
  type: z.literal('activation_required'),
  userCode: z.string(),
  verificationUri: z.string(),
  verificationUriComplete: z.string(),
  /** Seconds. */
  expiresIn: z.int(),
})
export type ActivationRequired = z.infer<typeof ActivationRequired>

/** What the gateway will hold the device to. */
export const ServerLimits = z.object({
  maxMessageBytes: z.int(),
  maxStreams: z.int(),
  maxRequestBody: z.int(),
  maxResponseBody: z.int(),
  maxItemsPerBatch: z.int(),
})
export type ServerLimits = z.infer<typeof ServerLimits>

export const Registered = z.object({
  type: z.literal('registered'),
  controllerId: z.uuid(),
  status: z.literal('active'),
  /** Exactly once, at activation or rotation. */
  credentials: z.object({ controller_id: z.uuid(), secret: z.string() }).optional(),
  epoch: z.int(),
  heartbeatSec: z.int(),
  serverTimeMs: z.int(),
  limits: ServerLimits,
})
export type Registered = z.infer<typeof Registered>

export const HttpRequest = z.object({
  type: z.literal('http_request'),
  id: z.string(),
  method: z.string(),
  /** Raw path and query as the user sent them, never normalised; begins with "/". */
  path: z.string(),
  headers: HeaderBlock,
  body: z.string(),
  bodyEncoding: BodyEncoding.optional(),
})
export type HttpRequest = z.infer<typeof HttpRequest>

/** The user went away. A device that knows this ends the id with a chunk that carries `error`; others just go on. */
export const HttpCancel = z.object({ type: z.literal('http_cancel'), id: z.string() })
export type HttpCancel = z.infer<typeof HttpCancel>

export const Command = z.object({
  type: z.literal('command'),
  /** The device drops a command whose id it has done already and answers with the stored result. */
  id: z.string(),
  name: z.string(),
  params: z.json(),
  /** Milliseconds since 1970. */
  expiresAt: z.int(),
})
export type Command = z.infer<typeof Command>

export const Ack = z.object({ type: z.literal('ack'), seq })
export type Ack = z.infer<typeof Ack>

export const GoAway = z.object({
  type: z.literal('goaway'),
  reason: z.enum(['draining', 'restarting', 'rebalance', 'rotated']),
  /** The device reconnects after this many milliseconds; jitter is already in it. */
  reconnectAfterMs: z.int().min(0),
  /** Where the device belongs from now on: a hint for one that announced `follow`, and only for its next connection. */
  shard: z.string().max(64).optional(),
})
export type GoAway = z.infer<typeof GoAway>

export const ErrorMessage = z.object({
  type: z.literal('error'),
  code: z.string(),
  message: z.string(),
  retryable: z.boolean(),
  /** With `retryable`: do not come back sooner. */
  reconnectAfterMs: z.int().min(0).optional(),
})
export type ErrorMessage = z.infer<typeof ErrorMessage>

/** Everything the gateway may send. */
export const ServerMessage = z.discriminatedUnion('type', [
  ActivationRequired,
  Registered,
  HttpRequest,
  HttpCancel,
  Command,
  Ack,
  GoAway,
  ErrorMessage,
])
export type ServerMessage = z.infer<typeof ServerMessage>

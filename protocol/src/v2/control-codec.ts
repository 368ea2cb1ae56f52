/**
 * Payloads of stream 0 that are JSON ↔ checked messages with a `type`, so that both dialects share what comes after.
 * Pure; never throws on what a peer sent. Faults close the connection as in dialect v1.
 */
import { z } from 'zod'
import { CLOSE } from '../close-codes.ts'
import {
  Ack,
  ActivationRequired,
  Command,
  CommandResult,
  ErrorMessage,
  GoAway,
  Log,
  Metrics,
} from '../messages.ts'
import { check, readJson, type Parsed } from '../v1-codec.ts'
import { encodeFrame } from './frame-codec.ts'
import { FRAME, V2_LIMITS, type FrameType } from './frames.ts'
import { Hello, Welcome } from './handshake.ts'

/** What a device says on stream 0. */
export type DeviceControl = ({ type: 'hello' } & Hello) | Metrics | Log | CommandResult

/** What the gateway says on stream 0. */
export type ServerControl =
  | ({ type: 'welcome' } & Welcome)
  | ActivationRequired
  | Command
  | Ack
  | GoAway
  | ErrorMessage

type Kind = (DeviceControl | ServerControl)['type']

interface Payload {
  readonly frame: FrameType
  /** Of the JSON on the wire, whose fields are written in this order. */
  readonly schema: z.ZodObject
  /** In EVENT the type stands in the JSON, elsewhere the frame says it. */
  readonly hasType: boolean
}

const PAYLOADS: Readonly<Record<Kind, Payload>> = {
  hello: { frame: FRAME.hello, schema: Hello, hasType: false },
  metrics: { frame: FRAME.event, schema: Metrics, hasType: true },
  log: { frame: FRAME.event, schema: Log, hasType: true },
  command_result: untyped(FRAME.cmdResult, CommandResult),
  welcome: { frame: FRAME.welcome, schema: Welcome, hasType: false },
  activation_required: untyped(FRAME.activation, ActivationRequired),
  command: untyped(FRAME.cmd, Command),
  ack: { frame: FRAME.event, schema: Ack, hasType: true },
  goaway: untyped(FRAME.goaway, GoAway),
  error: untyped(FRAME.error, ErrorMessage),
}

const DeviceEvent = z.discriminatedUnion('type', [Metrics, Log])
const fromDevice = kinds('hello', 'command_result')
const fromServer = kinds('welcome', 'activation_required', 'command', 'goaway', 'error')

/** A frame of stream 0 that a device sent. */
export function parseDeviceControl(frame: FrameType, payload: Uint8Array): Parsed<DeviceControl> {
  return parse(frame, payload, fromDevice, DeviceEvent) as Parsed<DeviceControl>
}

/** A frame of stream 0 that the gateway sent. Used by devices and tests. */
export function parseServerControl(frame: FrameType, payload: Uint8Array): Parsed<ServerControl> {
  return parse(frame, payload, fromServer, Ack) as Parsed<ServerControl>
}

/** Type and payload for `Mux.control`; fields in the order of the specification whatever the order they were set in. */
export function encodeControl(message: DeviceControl | ServerControl): {
  frame: FrameType
  payload: Uint8Array
} {
  const { frame, schema, hasType } = PAYLOADS[message.type]
  const source = message as Record<string, unknown>
  const ordered: Record<string, unknown> = {}
  for (const field of Object.keys(schema.shape))
    if (source[field] !== undefined && (hasType || field !== 'type')) ordered[field] = source[field]
  return { frame, payload: Buffer.from(JSON.stringify(ordered)) }
}

/** A whole message with this one frame, for the time before there is a mux. */
export function controlMessage(message: DeviceControl | ServerControl): Uint8Array {
  const { frame, payload } = encodeControl(message)
  return encodeFrame(frame, payload)
}

function untyped(frame: FrameType, schema: z.ZodObject): Payload {
  return { frame, schema: schema.omit({ type: true }), hasType: false }
}

function kinds(...types: Kind[]): ReadonlyMap<FrameType, Kind> {
  return new Map(types.map((type) => [PAYLOADS[type].frame, type]))
}

function parse(
  frame: FrameType,
  payload: Uint8Array,
  types: ReadonlyMap<FrameType, Kind>,
  event: z.ZodType,
): Parsed<unknown> {
  const type = types.get(frame)
  if (!type && frame !== FRAME.event) return { ok: false, close: CLOSE.malformed, detail: 'unexpected_frame' }
  const read = readJson(payload, V2_LIMITS.maxPayload)
  if (!read.ok) return read
  if (!type) return check(event, read.message)
  const checked = check(PAYLOADS[type].schema, read.message)
  return checked.ok ? { ok: true, message: { type, ...checked.message } } : checked
}

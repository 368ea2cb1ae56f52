/** The first frames of a v2 connection: what both sides can hold, and whether an earlier session goes on. */
import { z } from 'zod'
import { Register, Registered } from '../messages.ts'
import { V2_LIMITS } from './frames.ts'

const seq = z.int().min(0).max(65_535)

/** HELLO, the device's first frame: a v1 `register` without `type`, and what the device can hold. */
export const Hello = Register.omit({ type: true }).extend({
  /** Longest DATA or WS_MSG payload. */
  max_chunk: z.int().min(V2_LIMITS.minMaxChunk).max(V2_LIMITS.maxMaxChunk).optional(),
  /** Longest WebSocket message; frames are packed into messages no longer than this. */
  max_message: z.int().min(1_024).max(V2_LIMITS.maxMessageBytes).optional(),
  /** Credit of each stream of the device's side at first. */
  rx_window: z.int().min(V2_LIMITS.minMaxChunk).max(V2_LIMITS.maxReceiveWindow).optional(),
  /** Credit of the connection at first: bytes of bodies that the device holds for all streams together. */
  rx_budget: z.int().min(V2_LIMITS.minMaxChunk).max(V2_LIMITS.maxCredit).optional(),
  /** Goes on with a session that a WELCOME named: its id, and the last frame of a stream that arrived at the device. */
  resume: z.object({ session: z.string().min(16).max(64), seq }).optional(),
})
export type Hello = z.infer<typeof Hello>

/** WELCOME: `registered` of dialect v1 without `type`, and what the gateway holds. */
export const Welcome = Registered.omit({ type: true }).extend({
  /** Name and secret of this session for `resume`; absent: the device did not ask for the feature `resume`. */
  session: z.string().optional(),
  /** Where the session is: a device that can `follow` resumes it at `/tunnel?shard={shard}`. */
  shard: z.string().max(64).optional(),
  /** The session of HELLO goes on: the last frame of a stream that arrived at the gateway. Absent: streams are lost. */
  resumed: z.object({ seq }).optional(),
  /** Credit of each stream, and of the connection, of the gateway's side at first. */
  rx_window: z.int(),
  rx_budget: z.int(),
})
export type Welcome = z.infer<typeof Welcome>

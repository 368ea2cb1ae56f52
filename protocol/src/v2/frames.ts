/**
 * The tunnel protocol, dialect v2: binary frames in WebSocket binary messages, subprotocol `wmoc.v2`. This file is the
 * specification: every frame, its payload, its limits and its meaning. The reference page is made from it.
 *
 * One binary message is one or more whole frames. Between gateway shards the same frames follow each other on a TCP
 * connection.
 *
 *   0       1       2               4               6               8
 *   ┌───────┬───────┬───────────────┬───────────────┬───────────────┬─────────
 *   │ type  │ flags │ stream        │ seq           │ length        │ payload
 *   └───────┴───────┴───────────────┴───────────────┴───────────────┴─────────   all numbers big-endian
 *
 * - `stream` 0 is the connection itself. Others are chosen by the side that opens streams (the gateway; between shards
 *   the one that dialled) and are free again when both sides have ended them. It takes them in turn, 1 to 65,535 and again
 *   from 1, so that a CREDIT or RST that crosses the end of a stream is late for nobody: both are ignored on a free number.
 *   Any other frame of a free number is a fault of the connection.
 * - `seq` numbers the frames of streams that one side sends, from 1, 65,535 is followed by 0. Frames of stream 0 carry 0
 *   and are never repeated.
 *
 * Life of a stream: the opener sends REQ or WS_OPEN, then DATA … with FIN on the last frame of its direction (or END with
 * trailers); the acceptor sends RESP, then the same. RST ends both directions at once, and is answered by RST unless the
 * other side has sent its FIN already: only then is the stream free.
 *
 * A WebSocket: the opener waits for RESP 101, then both send WS_MSG and at last WS_CLOSE. Any other RESP refuses it: the
 * opener's direction ends with it, the acceptor goes on with a body.
 *
 * Credit: DATA and WS_MSG payload bytes may be sent only as far as the other side gave credit, for the stream and for the
 * connection. Both begin with what HELLO and WELCOME say, and grow with CREDIT. Heads and trailers need none.
 *
 * Resume: a new connection, HELLO with `resume`, WELCOME with `resumed`; then each side repeats its frames after the `seq`
 * that the other named, unchanged. Streams keep their credit. The connection's begins at nothing: each side first sends
 * CREDIT for all that it has room for; what is repeated counts against it. CREDIT of the connection acknowledges, at least
 * each 64 frames or 16 KiB. A side that can't keep what is unacknowledged drops it, and the session can't be resumed.
 *
 * A fault of the connection closes it with 4400. A frame that makes no sense on its stream costs the stream: RST.
 *
 * History: v2 (2026) is the first binary dialect. What a side does not know, a frame type or a flag, is a fault; something
 * new is announced in HELLO `credentials.features` first.
 */

/** Limits of dialect v2. Bytes unless the name says otherwise. */
export const V2_LIMITS = {
  headerBytes: 8,
  maxPayload: 65_535,
  /** One WebSocket message from a device. */
  maxMessageBytes: 262_144,
  /** REQ, RESP, END: the whole block. */
  maxHeadBytes: 32_768,
  maxHeaders: 200,
  /** What a device holds that announces nothing in HELLO. */
  defaultMaxStreams: 4,
  maxStreams: 1_024,
  defaultMaxChunk: 1_024,
  minMaxChunk: 256,
  maxMaxChunk: 65_535,
  defaultMaxMessage: 4_096,
  defaultMaxRequestHeader: 512,
  defaultReceiveWindow: 4_096,
  maxReceiveWindow: 1_048_576,
  /** Credit a sender can hold; more is a protocol error. */
  maxCredit: 0x7fff_ffff,
  /** A dropped connection's streams wait so long for their device. */
  resumeMs: 10_000,
} as const

export const FRAME = {
  /** C→S, stream 0, first frame: JSON `Hello`. */
  hello: 1,
  /** S→C, stream 0: JSON `Welcome`. */
  welcome: 2,
  /** Opens a stream: request head. FIN: no body follows. */
  req: 3,
  /** Response head. FIN: no body follows. */
  resp: 4,
  /** Body bytes. FIN: the body ends here, without trailers. */
  data: 5,
  /** The body ends; payload: a header block of trailers, may be empty. Always FIN. */
  end: 6,
  /** u16 code (`RESET`), then UTF-8 words for logs. */
  rst: 7,
  /** u32 bytes of credit. Stream 0: for the connection, followed by u16: the last `seq` that arrived here. */
  credit: 8,
  /** 0–8 opaque bytes, given back by PONG; then nothing else. */
  ping: 9,
  pong: 10,
  /** S→C: JSON `GoAway` of dialect v1 without `type`. */
  goaway: 11,
  /** C→S: JSON `Metrics` or `Log` of dialect v1, `type` included. S→C: JSON `{type:"ack",seq}`. */
  event: 12,
  /** S→C: JSON `Command` without `type`. Between shards: a call `{id, name, params}`. */
  cmd: 13,
  /** C→S: JSON `CommandResult` without `type`. */
  cmdResult: 14,
  /** Opens a stream for a user's WebSocket: request head as in REQ; answered by RESP 101, or any other RESP as a refusal. */
  wsOpen: 15,
  /** A piece of a message. Flags: FIN last piece, BINARY. Costs credit. */
  wsMsg: 16,
  /** u16 close code, UTF-8 reason. Ends the sender's direction. */
  wsClose: 17,
  /** Blocks of a firmware image; refused as unknown until a device announces the feature `ota`. */
  otaBlock: 18,
  /** S→C: JSON `ErrorMessage` of dialect v1 without `type`; the connection closes. */
  error: 19,
  /** S→C: JSON `ActivationRequired` of dialect v1 without `type`. */
  activation: 20,
} as const
export type FrameType = (typeof FRAME)[keyof typeof FRAME]

export const FLAG = {
  /** The last frame of the sender's direction of the stream; in WS_MSG the last piece of the message. */
  fin: 1,
  /** WS_MSG: binary, not text. */
  binary: 2,
} as const

/** Why a stream was reset. The numbers are on the wire. */
export const RESET = {
  /** The one who asked went away. */
  cancelled: 1,
  /** The rest of an answer will never come. */
  interrupted: 2,
  /** The frames of this stream make no sense. */
  protocol: 3,
  /** More than this side said it can hold. */
  refused: 4,
  /** Took too long. */
  timeout: 5,
  /** Between shards: the controller's tunnel is not here in that epoch. Nothing was sent to a device. */
  notHere: 6,
  /** Between shards: queue full. */
  overloaded: 7,
  /** The reader is too slow. */
  slowReader: 8,
  /** The answer broke the header policy. */
  badResponse: 9,
  /** Between shards: the device's connection was lost; the request may have reached it. */
  disconnected: 10,
} as const
export type ResetCode = (typeof RESET)[keyof typeof RESET]

/**
 * Two shards prove to each other that they know the internal token, and which instance each is, before a single frame is
 * read. Three messages on a fresh TCP connection:
 *
 *   dialler → acceptor   u16 length, "WMOC-PEER", u8 version, 32 bytes nonce, name of the dialler, name of whom it wants
 *   acceptor → dialler   u16 length, u8 version, 32 bytes nonce, name of the acceptor, 32 bytes proof
 *   dialler → acceptor   32 bytes proof
 *
 * A name is a u8 length and UTF-8. A proof is HMAC-SHA-256 over the role of its maker and everything that both said
 * before it. So an old proof fits no new nonce, one side's proof is of no use as the other's, and the key never travels.
 * The connection is not encrypted: it belongs into a network of its own.
 */
import { createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'

export const PEER_VERSION = 1
/** Bytes that somebody who has proved nothing may send as one message. */
export const MAX_GREETING_BYTES = 1_024
export const HANDSHAKE_TIMEOUT_MS = 2_000

const MAGIC = Buffer.from('WMOC-PEER')
const NONCE_BYTES = 32
const PROOF_BYTES = 32

export type HandshakeFailure = 'malformed' | 'version' | 'wrong_key' | 'wrong_instance' | 'timeout' | 'closed'

export class HandshakeError extends Error {
  readonly reason: HandshakeFailure

  constructor(reason: HandshakeFailure) {
    super(`peer handshake failed: ${reason}`)
    this.name = 'HandshakeError'
    this.reason = reason
  }
}

/** The key of peer links, made from the internal token by HKDF-SHA-256 (RFC 5869). */
export function peerKey(internalToken: string): Buffer {
  return Buffer.from(hkdfSync('sha256', internalToken, '', `wmoc peer link ${PEER_VERSION}`, 32))
}

export interface HandshakeOptions {
  readonly key: Buffer
  /** This process. */
  readonly instance: string
  readonly timeoutMs?: number
}

/** The dialler's part. Resolves when `expected` has proved itself; rejects with a HandshakeError, the socket destroyed. */
export function greetPeer(socket: Socket, options: HandshakeOptions, expected: string): Promise<void> {
  return limited(socket, options, async () => {
    const hello = message(MAGIC, version, nonce(), named(options.instance), named(expected))
    socket.write(hello)
    const { whole, body } = await readMessage(socket)
    const proofAt = body.length - PROOF_BYTES
    if (body[0] !== PEER_VERSION) throw new HandshakeError('version')
    if (proofAt < 1 + NONCE_BYTES + 1) throw new HandshakeError('malformed')
    const transcript = Buffer.concat([hello, whole.subarray(0, whole.length - PROOF_BYTES)])
    if (!timingSafeEqual(body.subarray(proofAt), proof(options.key, 'acceptor', transcript)))
      throw new HandshakeError('wrong_key')
    const { name, end } = readName(body, 1 + NONCE_BYTES)
    if (end !== proofAt) throw new HandshakeError('malformed')
    if (name !== expected) throw new HandshakeError('wrong_instance')
    socket.write(proof(options.key, 'dialler', transcript))
  })
}

/** The acceptor's part. Resolves with the dialler's instance; rejects with a HandshakeError, the socket destroyed. */
export function answerPeer(socket: Socket, options: HandshakeOptions): Promise<string> {
  return limited(socket, options, async () => {
    const { whole: hello, body } = await readMessage(socket)
    if (!body.subarray(0, MAGIC.length).equals(MAGIC)) throw new HandshakeError('malformed')
    if (body[MAGIC.length] !== PEER_VERSION) throw new HandshakeError('version')
    const { name: dialler, end } = readName(body, MAGIC.length + 1 + NONCE_BYTES)
    const { name: wanted, end: atEnd } = readName(body, end)
    if (atEnd !== body.length) throw new HandshakeError('malformed')
    if (wanted !== options.instance) throw new HandshakeError('wrong_instance')
    const parts = [version, nonce(), named(options.instance)]
    const unproved = message(...parts, Buffer.alloc(PROOF_BYTES)).subarray(0, -PROOF_BYTES)
    const transcript = Buffer.concat([hello, unproved])
    socket.write(Buffer.concat([unproved, proof(options.key, 'acceptor', transcript)]))
    const given = await read(socket, PROOF_BYTES)
    if (!timingSafeEqual(given, proof(options.key, 'dialler', transcript)))
      throw new HandshakeError('wrong_key')
    return dialler
  })
}

const version = Buffer.from([PEER_VERSION])
const nonce = () => randomBytes(NONCE_BYTES)

function proof(key: Buffer, role: 'dialler' | 'acceptor', transcript: Buffer): Buffer {
  return createHmac('sha256', key).update(`${role}\0`).update(transcript).digest()
}

function named(name: string): Buffer {
  const bytes = Buffer.from(name)
  if (bytes.length > 255) throw new RangeError('the name of an instance is too long')
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

function message(...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const length = Buffer.alloc(2)
  length.writeUInt16BE(body.length)
  return Buffer.concat([length, body])
}

function readName(body: Buffer, at: number): { name: string; end: number } {
  const length = body[at]
  if (length === undefined || at + 1 + length > body.length) throw new HandshakeError('malformed')
  const end = at + 1 + length
  return { name: body.toString('utf8', at + 1, end), end }
}

async function readMessage(socket: Socket): Promise<{ whole: Buffer; body: Buffer }> {
  const head = await read(socket, 2)
  const length = head.readUInt16BE()
  if (length === 0 || length + 2 > MAX_GREETING_BYTES) throw new HandshakeError('malformed')
  const body = await read(socket, length)
  return { whole: Buffer.concat([head, body]), body }
}

/** Exactly so many bytes; what follows them stays in the socket. */
function read(socket: Socket, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const look = () => {
      const taken = socket.read(bytes) as Buffer | null
      if (taken === null || taken.length < bytes) {
        if (taken !== null) gone()
        return
      }
      done()
      resolve(taken)
    }
    const gone = () => {
      done()
      reject(new HandshakeError('closed'))
    }
    const done = () => {
      socket.off('readable', look)
      socket.off('end', gone)
      socket.off('close', gone)
    }
    socket.on('readable', look)
    socket.on('end', gone)
    socket.on('close', gone)
    if (socket.destroyed) gone()
    else look()
  })
}

async function limited<T>(socket: Socket, options: HandshakeOptions, work: () => Promise<T>): Promise<T> {
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    socket.destroy()
  }, options.timeoutMs ?? HANDSHAKE_TIMEOUT_MS)
  const ignore = () => undefined
  socket.on('error', ignore)
  try {
    return await work()
  } catch (error) {
    socket.destroy()
    if (isLate) throw new HandshakeError('timeout')
    throw error
  } finally {
    clearTimeout(timer)
    // Whoever goes on with the socket listens in the same turn in which this settles.
    if (!socket.destroyed) socket.off('error', ignore)
  }
}

/**
 * The capability in a frame's address: who may do what with which controller's page, in a form that only the gateway can
 * make. Its controller stands in the address and not in the text, but the signature covers it.
 *
 * Bytes: form and flags (1), issued at in ms (6), access epoch (4), random (8), user and sign-in session (32) or the
 * shared link (16), HMAC-SHA-256 cut to 16; as base64url.
 */
import type { PageScope } from '@wmoc/protocol/control-plane'

export interface Capability {
  /** Its random part: names the page to other shards and in the store, and opens nothing. */
  readonly id: string
  readonly controllerId: string
  /** Of a guest: the link's id, which is nobody's. */
  readonly userId: string
  readonly sessionId: string
  /** A guest's; null: a person who signed in. */
  readonly linkId: string | null
  readonly scope: PageScope
  /** Of the controller, when it was made. */
  readonly accessEpoch: number
  /** Milliseconds since 1970. */
  readonly issuedAt: number
}

/** A keyed hash, 16 bytes. */
export type Sign = (bytes: Uint8Array) => Uint8Array

export const RANDOM_BYTES = 8
const MAC_BYTES = 16
const FORM = 0x10
const MAY_USE = 1
const IS_GUEST = 2
const EPOCH_AT = 7
const RANDOM_AT = 11
const HOLDER_AT = RANDOM_AT + RANDOM_BYTES
const ID_BYTES = 16

/** The text of a capability; at most 90 characters. */
export function writeCapability(capability: Capability, sign: Sign): string {
  const { linkId, userId, sessionId } = capability
  const flags = (capability.scope === 'use' ? MAY_USE : 0) | (linkId === null ? 0 : IS_GUEST)
  const head = Buffer.alloc(RANDOM_AT)
  head[0] = FORM | flags
  head.writeUIntBE(capability.issuedAt, 1, 6)
  head.writeUInt32BE(capability.accessEpoch, EPOCH_AT)
  const ids = linkId === null ? [userId, sessionId] : [linkId]
  const said = Buffer.concat([head, Buffer.from(capability.id, 'base64url'), ...ids.map(fromUuid)])
  return Buffer.concat([said, sign(covered(capability.controllerId, said))]).toString('base64url')
}

/**
 * Null for anything that was not made for this controller by `writeCapability` with the same key. Whether it is still
 * good is the caller's to judge.
 * @param isEqual In a time that depends on nothing but the lengths.
 */
export function readCapability(
  controllerId: string,
  text: string,
  sign: Sign,
  isEqual: (a: Uint8Array, b: Uint8Array) => boolean,
): Capability | null {
  const bytes = Buffer.from(text, 'base64url')
  // One capability has one text: what decodes to the same bytes is another one.
  if (bytes.length < HOLDER_AT + MAC_BYTES || bytes.toString('base64url') !== text) return null
  const said = bytes.subarray(0, -MAC_BYTES)
  if (!isEqual(bytes.subarray(-MAC_BYTES), sign(covered(controllerId, said)))) return null
  const flags = said[0]! ^ FORM
  const isGuest = (flags & IS_GUEST) !== 0
  if (flags > (MAY_USE | IS_GUEST) || said.length !== HOLDER_AT + ID_BYTES * (isGuest ? 1 : 2)) return null
  const userId = toUuid(said.subarray(HOLDER_AT, HOLDER_AT + ID_BYTES))
  return {
    id: said.subarray(RANDOM_AT, HOLDER_AT).toString('base64url'),
    controllerId,
    userId,
    sessionId: isGuest ? userId : toUuid(said.subarray(HOLDER_AT + ID_BYTES)),
    linkId: isGuest ? userId : null,
    scope: (flags & MAY_USE) === 0 ? 'view' : 'use',
    accessEpoch: said.readUInt32BE(EPOCH_AT),
    issuedAt: said.readUIntBE(1, 6),
  }
}

/** No other signature of this key begins like this. */
function covered(controllerId: string, said: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`wmoc page capability\n${controllerId}\n`), said])
}

function fromUuid(uuid: string): Uint8Array {
  return Buffer.from(uuid.replaceAll('-', ''), 'hex')
}

function toUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

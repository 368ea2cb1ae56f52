/**
 * What devices and browsers send over WebSockets is masked (RFC 6455 section 5.3). The library takes the mask off byte by
 * byte, which was a third of the cost of a download; this does it four bytes at a time. Node versions that bring a native
 * function for it are left alone: the library uses that.
 */
// oxlint-disable no-underscore-dangle -- the fields of the library's receiver are named so
import * as http from 'node:http'
import * as library from 'ws'

/** What is touched of the library's receiver while it stands before the payload of a frame. */
interface Receiver {
  _masked: boolean
  _mask: Uint8Array
  _payloadLength: number
  _bufferedBytes: number
  _buffers: Uint8Array[]
  consume(bytes: number): Buffer
  getData(done: unknown): void
}

/** Below, the way to the words costs more than it saves. */
const MIN_BYTES = 64
const NO_MASK = new Uint8Array(4)

/** Takes `mask` (4 bytes) off `bytes`, in place. */
export function unmask(bytes: Uint8Array, mask: Uint8Array): void {
  const { buffer, byteOffset, length } = bytes
  // A word of memory begins at a multiple of four.
  const start = Math.min(length, -byteOffset & 3)
  const words = (length - start) >>> 2
  const end = start + 4 * words
  for (let at = 0; at < start; at += 1) bytes[at]! ^= mask[at & 3]!
  if (words > 0) {
    const turned = Uint8Array.from(mask, (_, at) => mask[(start + at) & 3]!)
    const key = new Int32Array(turned.buffer)[0]!
    const view = new Int32Array(buffer, byteOffset + start, words)
    for (let at = 0; at < words; at += 1) view[at]! ^= key
  }
  for (let at = end; at < length; at += 1) bytes[at]! ^= mask[at & 3]!
}

let isDone = 'websocketUnmask' in http

/** Lets the library unmask big payloads by words, in this process. */
export function unmaskByWords(): void {
  if (isDone) return
  isDone = true
  const { prototype } = (library as unknown as { Receiver: { prototype: Receiver } }).Receiver
  const { getData } = prototype
  prototype.getData = function (this: Receiver, done) {
    const length = this._payloadLength
    if (this._masked && length >= MIN_BYTES && this._bufferedBytes >= length) {
      const bytes = this.consume(length)
      unmask(bytes, this._mask)
      this._buffers.unshift(bytes)
      this._bufferedBytes += length
      this._mask = NO_MASK
    }
    getData.call(this, done)
  }
}

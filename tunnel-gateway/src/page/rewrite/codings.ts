/** Decoders and encoders of `Content-Encoding`. */
import * as zlib from 'node:zlib'
import type { Coding } from './core/head.ts'

type Compressed = Exclude<Coding, 'identity'>
export type Decoder =
  | zlib.Gunzip
  | zlib.Inflate
  | zlib.InflateRaw
  | zlib.BrotliDecompress
  | zlib.ZstdDecompress
export type Encoder = zlib.Gzip | zlib.Deflate | zlib.BrotliCompress | zlib.ZstdCompress

const { BROTLI_PARAM_QUALITY, BROTLI_PARAM_LGWIN, BROTLI_PARAM_MODE, BROTLI_MODE_TEXT, Z_SYNC_FLUSH } =
  zlib.constants
/** Of Brotli: the default makes a page wait for seconds, and takes megabytes of window. */
const BROTLI_QUALITY = 4
const BROTLI_WINDOW_BITS = 18

/** Each piece of what is decoded goes once through the thread pool. */
const DECODED = { chunkSize: 65_536 }

/** More than RFC 9659 allows as a window is more than a page can need. */
const ZSTD_WINDOW_BITS = 23
const ZSTD = { ...DECODED, params: { [zlib.constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_BITS } }

/** What a decoder may come to hold of what it gave out, whatever becomes of that, in bytes. */
export const WINDOW_BYTES: Readonly<Record<Compressed, number>> = {
  gzip: 0,
  deflate: 0,
  br: 2 ** 24,
  zstd: 2 ** ZSTD_WINDOW_BITS,
}

/** @param firstByte Of the body: devices send `deflate` with and without zlib's header (RFC 9110 section 8.4.1.2). */
export function createDecoder(coding: Compressed, firstByte: number): Decoder {
  if (coding === 'gzip') return zlib.createGunzip(DECODED)
  if (coding === 'br') return zlib.createBrotliDecompress(DECODED)
  if (coding === 'zstd') return zlib.createZstdDecompress(ZSTD)
  return (firstByte & 0x0f) === 8 ? zlib.createInflate(DECODED) : zlib.createInflateRaw(DECODED)
}

export function createEncoder(coding: Compressed): Encoder {
  if (coding === 'gzip') return zlib.createGzip()
  if (coding === 'deflate') return zlib.createDeflate()
  if (coding === 'zstd') return zlib.createZstdCompress()
  return zlib.createBrotliCompress({
    params: {
      [BROTLI_PARAM_MODE]: BROTLI_MODE_TEXT,
      [BROTLI_PARAM_QUALITY]: BROTLI_QUALITY,
      [BROTLI_PARAM_LGWIN]: BROTLI_WINDOW_BITS,
    },
  })
}

/** Sends what was taken so far, for whoever reads a page while it grows. */
export function flush(encoder: Encoder, coding: Compressed): void {
  if (coding === 'gzip' || coding === 'deflate') encoder.flush(Z_SYNC_FLUSH)
  else encoder.flush()
}

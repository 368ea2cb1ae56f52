/** Reads one HTTP/1.1 response from the beginning of a buffer. */

export interface ReadResponse {
  readonly status: number
  readonly bodyBytes: number
  /** Bytes of the buffer that it took. */
  readonly length: number
}

/** Null while it is incomplete. Throws on what is no response, or one that only the end of the connection ends. */
export function readResponse(bytes: Buffer): ReadResponse | null {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return null
  const head = bytes.toString('latin1', 0, headEnd)
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1])
  if (Number.isNaN(status)) throw new Error('not an HTTP response')
  const bodyStart = headEnd + 4
  const declared = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (declared !== undefined) {
    const bodyBytes = Number(declared)
    return bytes.length < bodyStart + bodyBytes ? null : { status, bodyBytes, length: bodyStart + bodyBytes }
  }
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) return readChunks(bytes, bodyStart, status)
  throw new Error('a response without a length')
}

function readChunks(bytes: Buffer, start: number, status: number): ReadResponse | null {
  let at = start
  let bodyBytes = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error('not a chunk')
    at = lineEnd + 2 + size + 2
    if (bytes.length < at) return null
    if (size === 0) return { status, bodyBytes, length: at }
    bodyBytes += size
  }
}

/** multipart/form-data as browsers send it (RFC 7578). Pure. */

export type Part = { name: string; filename: string | null; contentType: string; bytes: Buffer }

/** The parts of a body; null when it is not what its Content-Type promises. */
export function parseMultipart(contentType: string, body: Buffer): Part[] | null {
  const boundary = /^multipart\/form-data\s*;.*\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(
    contentType,
  )
  if (!boundary) return null
  const delimiter = Buffer.from(`\r\n--${boundary[1] ?? boundary[2]}`)
  // The first delimiter has no line break before it.
  const text = Buffer.concat([Buffer.from('\r\n'), body])
  const parts: Part[] = []
  let at = text.indexOf(delimiter)
  while (at >= 0) {
    const start = at + delimiter.length
    if (text.subarray(start, start + 2).toString() === '--') return parts
    const next = text.indexOf(delimiter, start)
    const headEnd = text.indexOf('\r\n\r\n', start)
    if (next < 0 || headEnd < 0 || headEnd > next) return null
    const part = readPart(text.subarray(start, headEnd).toString('utf8'), text.subarray(headEnd + 4, next))
    if (!part) return null
    parts.push(part)
    at = next
  }
  return null
}

function readPart(head: string, bytes: Buffer): Part | null {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1]
  const name = /(?:^|[;\s])name="([^"]*)"/i.exec(disposition ?? '')?.[1]
  if (name === undefined) return null
  const filename = /(?:^|[;\s])filename="([^"]*)"/i.exec(disposition ?? '')?.[1] ?? null
  const contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? 'application/octet-stream'
  return { name, filename, contentType, bytes }
}

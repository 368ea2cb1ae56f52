/** multipart/form-data as browsers send it (RFC 7578), read in pieces of any size and constant memory. Pure. */

export type PartHead = { name: string; filename: string | null; contentType: string }

export type MultipartEvent =
  | ({ type: 'part' } & PartHead)
  /** Bytes of the part that began last. */
  | { type: 'data'; bytes: Buffer }

export type MultipartReader = {
  /** What the next bytes bring; null: this is not what its Content-Type promises. */
  push(bytes: Buffer): MultipartEvent[] | null
  /** The closing delimiter was there. */
  readonly isComplete: boolean
}

/** Bytes of a part's head; browsers send less than a tenth. */
const MAX_HEAD_BYTES = 8_192

/** A reader for a body of this type; null when the type is no form with a boundary. */
export function createMultipartReader(contentType: string): MultipartReader | null {
  const boundary = /^multipart\/form-data\s*;.*\bboundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(
    contentType,
  )
  if (!boundary) return null
  const delimiter = Buffer.from(`\r\n--${boundary[1] ?? boundary[2]}`)
  // The first delimiter has no line break before it.
  let held: Buffer = Buffer.from('\r\n')
  let state: 'data' | 'head' | 'complete' = 'data'
  let hasPart = false

  /** Everything up to the next delimiter, and nothing that could be the beginning of one. */
  function takeData(events: MultipartEvent[]): boolean {
    const at = held.indexOf(delimiter)
    const end = at >= 0 ? at : Math.max(0, held.length - delimiter.length + 1)
    if (hasPart && end > 0) events.push({ type: 'data', bytes: held.subarray(0, end) })
    held = held.subarray(at >= 0 ? at + delimiter.length : end)
    if (at >= 0) state = 'head'
    return at >= 0
  }

  function takeHead(events: MultipartEvent[]): boolean | null {
    if (held.length < 2) return false
    if (held.subarray(0, 2).toString() === '--') {
      state = 'complete'
      return false
    }
    const end = held.indexOf('\r\n\r\n')
    if (end < 0) return held.length > MAX_HEAD_BYTES ? null : false
    const head = readHead(held.subarray(0, end).toString('utf8'))
    if (!head) return null
    events.push({ type: 'part', ...head })
    held = held.subarray(end + 4)
    hasPart = true
    state = 'data'
    return true
  }

  return {
    push(bytes) {
      held = held.length > 0 ? Buffer.concat([held, bytes]) : bytes
      const events: MultipartEvent[] = []
      let goesOn: boolean | null = true
      while (goesOn && state !== 'complete') goesOn = state === 'data' ? takeData(events) : takeHead(events)
      return goesOn === null ? null : events
    },
    get isComplete() {
      return state === 'complete'
    },
  }
}

function readHead(head: string): PartHead | null {
  const disposition = /^content-disposition:\s*form-data\s*;(.*)$/im.exec(head)?.[1]
  const name = /(?:^|[;\s])name="([^"]*)"/i.exec(disposition ?? '')?.[1]
  if (name === undefined) return null
  const filename = /(?:^|[;\s])filename="([^"]*)"/i.exec(disposition ?? '')?.[1] ?? null
  const contentType = /^content-type:\s*(.+)$/im.exec(head)?.[1]?.trim() ?? 'application/octet-stream'
  return { name, filename, contentType }
}

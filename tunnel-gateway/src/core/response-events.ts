/** Where one event of an event stream ends and the next begins (HTML, section 9.2.6), so that a stream can end cleanly. */

/** Two line ends, in any of the three forms. */
const EVENT_END = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)/g
const AT_END = /(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)$/
const TAIL_BYTES = 4

/** What has to be kept of a stream to know where it stands: its last bytes, after `piece` too. Empty at first. */
export function eventTail(tail: string, piece: Uint8Array): string {
  if (piece.length >= TAIL_BYTES) return latin1(piece.subarray(-TAIL_BYTES))
  return (tail + latin1(piece)).slice(-TAIL_BYTES)
}

/** Whether nothing of an event is under way. */
export function isBetweenEvents(tail: string): boolean {
  return tail === '' || AT_END.test(tail)
}

/** How many bytes of `piece` there are up to the end of the event that is under way; -1: it does not end here. */
export function firstEventEnd(tail: string, piece: Uint8Array): number {
  for (const match of (tail + latin1(piece)).matchAll(EVENT_END)) {
    const end = match.index + match[0].length - tail.length
    if (end > 0) return end
  }
  return -1
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
}

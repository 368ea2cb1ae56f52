/** W3C Trace Context (level 1): a request's place in a trace that began elsewhere, or in one of its own. */

export interface Trace {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** The header for the next one on the way, of which this gateway is the parent. */
  readonly traceparent: string
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const NONE = /^0+$/

/**
 * Goes on with a sound `traceparent`, else begins a trace that nobody was asked to record.
 * @param random 48 hexadecimal digits, not used before.
 */
export function traceOf(given: string | undefined, random: string): Trace {
  const spanId = random.slice(32)
  const match = given === undefined ? null : TRACEPARENT.exec(given)
  const isSound =
    match !== null &&
    match[1] !== 'ff' &&
    !(match[1] === '00' && match[5] !== undefined) &&
    !NONE.test(match[2]!) &&
    !NONE.test(match[3]!)
  const traceId = isSound ? match[2]! : random.slice(0, 32)
  const flags = isSound ? match[4]! : '00'
  return { traceId, traceparent: `00-${traceId}-${spanId}-${flags}` }
}

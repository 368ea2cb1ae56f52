/**
 * Entity tags of rewritten bodies. They are the device's with the name of the rewriting in it, and weak: the bytes
 * differ, and a range of one is no range of the other (RFC 9110 section 8.8.3).
 */

const TAG = /^(?:W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/
const TAGS = /(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"/g

/** The device's tag as ours. @param name Of the rewriting: letters and digits. */
export function tagOf(deviceTag: string, name: string): string {
  const match = TAG.exec(deviceTag.trim())
  if (match === null) return deviceTag
  // Whether it was weak is kept: the device compares as it likes.
  return `W/"${match[1]!}~${deviceTag.trim().startsWith('W/') ? 'w' : 's'}${name}"`
}

/** The device's tags out of ours; empty: none of them is of this rewriting. */
function deviceTags(value: string, name: string): string {
  const ends = new Map([
    [`~w${name}"`, 'W/'],
    [`~s${name}"`, ''],
  ])
  const tags = (value.match(TAGS) ?? []).flatMap((tag) => {
    for (const [end, weak] of ends)
      if (tag.endsWith(end)) return [`${weak}${tag.slice(tag.indexOf('"'), -end.length)}"`]
    return []
  })
  return tags.join(', ')
}

export interface DeviceRequest {
  readonly headers: readonly string[]
  /** The person has a rewritten body of ours: the device's 304 is about that. */
  readonly isConditional: boolean
}

/**
 * The request's headers as the device has to see them.
 * @param names Of the rewritings that the person may have got.
 * @param isWhole A part of a rewritten body can't be made of a part of the device's: ranges are not asked for.
 */
export function deviceRequest(headers: readonly string[], name: string, isWhole: boolean): DeviceRequest {
  const out: string[] = []
  let isConditional = false
  for (let at = 0; at < headers.length; at += 2) {
    const lower = headers[at]!.toLowerCase()
    const value = headers[at + 1]!
    if (isWhole && (lower === 'range' || lower === 'if-range')) continue
    const isMatch = (lower === 'if-none-match' || lower === 'if-match') && value.includes('~')
    const tags = isMatch ? deviceTags(value, name) : ''
    isConditional ||= tags !== ''
    out.push(headers[at]!, tags === '' ? value : tags)
  }
  return { headers: out, isConditional }
}

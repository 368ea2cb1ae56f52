/** Header blocks of handlers ↔ header lists of dialect v2. Pure. */
import type { HeaderBlock } from '@wmoc/protocol/messages'
import type { HeaderList } from '@wmoc/protocol/v2/mux'

/** Names in lower case as they came; repeats become an array. */
export function blockOf(list: HeaderList): HeaderBlock {
  const block: HeaderBlock = {}
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? ''
    const value = list[at + 1] ?? ''
    if (name === '__proto__') continue
    const earlier = Object.hasOwn(block, name) ? block[name] : undefined
    if (earlier === undefined) block[name] = value
    else block[name] = typeof earlier === 'string' ? [earlier, value] : [...earlier, value]
  }
  return block
}

/** The other way; an array becomes one entry per value. */
export function listOf(block: HeaderBlock): HeaderList {
  const list: string[] = []
  for (const name in block) {
    const value = block[name]
    if (value === undefined) continue
    const lower = name.toLowerCase()
    if (typeof value === 'string') list.push(lower, value)
    else for (const one of value) list.push(lower, one)
  }
  return list
}

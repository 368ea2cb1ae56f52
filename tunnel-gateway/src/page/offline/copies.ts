/**
 * Last good copies of pages, in the shared store: they outlive this shard, and the store never holds more of them than
 * was allowed. The space is cut into slots; one person's copies of one controller lie in one. Those that meet in a slot take
 * turns: the later ones replace the earlier ones.
 */
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { Logger } from '@wmoc/platform/log'
import type { Store } from '@wmoc/platform/store'
import { LRUCache } from 'lru-cache'
import { z } from 'zod'
import { createByteBudget } from '#src/core/byte-budget.ts'
import { choose, MAX_COPY_BYTES } from './core/frozen-page.ts'
import type { Copy } from './core/frozen-page.ts'

/** Whose copies, of which controller. */
export interface CopyScope {
  readonly controllerId: string
  readonly accessEpoch: number
  /** A user's id, or EVERYBODY. */
  readonly holder: string
}
export const EVERYBODY = 'everybody'

export interface WholeCopy extends Omit<Copy, 'size'> {
  readonly body: Buffer
}

export interface Copies {
  /** In the place of an earlier one; written a little later, with others of the same page. */
  keep(scope: CopyScope, copy: WholeCopy): void
  /** Null: there is none. Rejects when the store is away. */
  find(scope: CopyScope, key: string): Promise<WholeCopy | null>
  /** Notes that this person sees a page that stands still, or tells whether that was so a moment ago. */
  noteViewer(scope: CopyScope): Promise<void>
  isViewer(scope: CopyScope): Promise<boolean>
  /** Writes what waits. */
  flush(): Promise<void>
}

/** Bytes of text of one slot. */
export const SLOT_BYTES = 262_144
export const COPY_TTL_MS = 7 * 86_400_000
const FLUSH_AFTER_MS = 1_000
/** The same content is not written again for so long. */
const SAME_FOR_MS = 600_000
const VIEWER_TTL_MS = 60_000
/** Of all that waits to be written. */
const MAX_WAITING_BYTES = 8_388_608

const Kept = z.object({
  key: z.string(),
  type: z.string(),
  at: z.int(),
  isDocument: z.boolean(),
  size: z.int(),
  /** base64 of gzip. */
  body: z.string(),
})
const Slot = z.object({
  controllerId: z.string(),
  accessEpoch: z.int(),
  holder: z.string(),
  copies: z.array(Kept),
})
type Kept = z.infer<typeof Kept>

const pack = promisify(gzip)
const unpack = promisify(gunzip) as (bytes: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>

/** @param totalBytes Of the store, for all controllers; below one slot nothing is kept. */
export function createCopies(store: Store, totalBytes: number, log: Logger): Copies {
  const slots = Math.floor(totalBytes / SLOT_BYTES)
  const waiting = new Map<string, { scope: CopyScope; copies: Map<string, WholeCopy> }>()
  const budget = createByteBudget(MAX_WAITING_BYTES)
  const written = new LRUCache<string, string>({ max: 20_000, ttl: SAME_FOR_MS })
  let timer: NodeJS.Timeout | null = null
  let flushing = Promise.resolve()

  function slotOf({ controllerId, holder }: CopyScope): string {
    return `wmoc:frozen:${numberOf(`${controllerId} ${holder}`) % slots}`
  }

  async function read(scope: CopyScope): Promise<Kept[]> {
    const text = await store.get(slotOf(scope))
    const slot = text === null ? undefined : Slot.safeParse(JSON.parse(text)).data
    const isOurs =
      slot?.controllerId === scope.controllerId &&
      slot.accessEpoch === scope.accessEpoch &&
      slot.holder === scope.holder
    return isOurs ? slot.copies : []
  }

  async function write(scope: CopyScope, fresh: ReadonlyMap<string, WholeCopy>): Promise<void> {
    const present = (await read(scope)).filter(({ key }) => !fresh.has(key))
    const added = await Promise.all(
      Array.from(fresh.values(), async (copy): Promise<Kept> => {
        const body = (await pack(copy.body)).toString('base64')
        // With its names and quotes; keys are paths, which JSON writes as they are.
        return { ...copy, body, size: body.length + copy.key.length + copy.type.length + 100 }
      }),
    )
    const copies = choose([...present, ...added], SLOT_BYTES - 1_024)
    await store.set(slotOf(scope), JSON.stringify({ ...scope, copies }), { ttlMs: COPY_TTL_MS })
  }

  async function writeAll(): Promise<void> {
    const all = [...waiting.values()]
    waiting.clear()
    for (const { scope, copies } of all) {
      try {
        await write(scope, copies)
      } catch (error) {
        log.debug('store', 'copies of a page were not kept', { error })
        for (const key of copies.keys()) written.delete(`${scope.controllerId} ${scope.holder} ${key}`)
      }
      for (const { body } of copies.values()) budget.give(body.length)
    }
  }

  function flush(): Promise<void> {
    if (timer !== null) clearTimeout(timer)
    timer = null
    flushing = flushing.then(writeAll)
    return flushing
  }

  const viewerKey = ({ controllerId, holder }: CopyScope) => `wmoc:frozen-viewer:${controllerId}:${holder}`

  return {
    keep(scope, copy) {
      if (slots === 0 || copy.body.length > MAX_COPY_BYTES) return
      const name = `${scope.controllerId} ${scope.holder} ${copy.key}`
      const print = `${scope.accessEpoch} ${copy.type} ${createHash('sha256').update(copy.body).digest('base64')}`
      if (written.get(name) === print || !budget.take(copy.body.length)) return
      written.set(name, print)
      const id = `${scope.controllerId} ${scope.holder} ${scope.accessEpoch}`
      const entry = waiting.get(id) ?? { scope, copies: new Map<string, WholeCopy>() }
      const replaced = entry.copies.get(copy.key)
      if (replaced !== undefined) budget.give(replaced.body.length)
      entry.copies.set(copy.key, copy)
      waiting.set(id, entry)
      timer ??= setTimeout(() => void flush(), FLUSH_AFTER_MS).unref()
    },
    async find(scope, key) {
      if (slots === 0) return null
      const found = (await read(scope)).find((copy) => copy.key === key)
      if (found === undefined) return null
      const body = await unpack(Buffer.from(found.body, 'base64'), { maxOutputLength: MAX_COPY_BYTES })
      return { ...found, body }
    },
    async noteViewer(scope) {
      await store.set(viewerKey(scope), '1', { ttlMs: VIEWER_TTL_MS })
    },
    isViewer: async (scope) => (await store.get(viewerKey(scope))) !== null,
    flush,
  }
}

function numberOf(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6)
}

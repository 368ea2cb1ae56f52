/**
 * Kept answers, in memory and bounded: by bytes in all, by bytes of one controller, by variants of one address. What was
 * not used for longest goes first.
 */
import type { Aged } from './core/freshness.ts'

export interface KeptAnswer extends Aged {
  readonly status: number
  /** Name after value, without framing, age and what is of one answer only. */
  readonly headers: readonly string[]
  readonly body: Buffer
  /** As the device said it; the headers hold what users are told. */
  readonly cacheControl: string
  /** It is kept for more than one person: guests of a link, or everybody with access. */
  readonly isForAll: boolean
  readonly vary: readonly { readonly name: string; readonly value: string | null }[]
  readonly etag: string | null
  readonly lastModified: string | null
  /** Of the device's page at the time. */
  readonly firmwareVersion: string | null
}

export interface Place {
  readonly controllerId: string
  /** Who may see it: a person, the guests of a link, or everybody with access. */
  readonly holder: string
  /** Surface, port, path and query. */
  readonly address: string
}

export interface KeptPages {
  /** The variants of one address, the last stored first. */
  find(place: Place): readonly KeptAnswer[]
  /** Marks it as used just now. */
  use(place: Place, answer: KeptAnswer): void
  /** In place of the variant with the same values of the same headers. */
  put(place: Place, answer: KeptAnswer): void
  /** Takes out one answer, if it is still there. */
  drop(place: Place, answer: KeptAnswer): void
  /** Forgets an address for all holders. */
  forgetAddress(controllerId: string, address: string): void
  /** Null: everybody, of every controller. */
  forgetHolder(holder: string | null, controllerId: string | null): void
  /** Forgets what came before a registration of the device. */
  forgetBefore(controllerId: string, epoch: number): void
  readonly bytes: number
  readonly size: number
  /** What must always hold; empty when it does. */
  invariants(): string[]
}

interface Slot {
  readonly place: Place
  readonly answer: KeptAnswer
  readonly bytes: number
}

const MAX_VARIANTS = 4
/** What an answer takes besides its body and its headers. */
const OVERHEAD_BYTES = 512

/** @param limits Bytes of all answers, and of those of one controller. */
export function createKeptPages(limits: { bytes: number; bytesPerController: number }): KeptPages {
  /** In order of use. */
  const all = new Set<Slot>()
  const controllers = new Map<string, { slots: Set<Slot>; bytes: number }>()
  const places = new Map<string, Slot[]>()
  let bytes = 0

  function remove(slot: Slot): void {
    if (!all.delete(slot)) return
    bytes -= slot.bytes
    const { controllerId } = slot.place
    const own = controllers.get(controllerId)!
    own.slots.delete(slot)
    own.bytes -= slot.bytes
    if (own.slots.size === 0) controllers.delete(controllerId)
    const key = keyOf(slot.place)
    const left = places.get(key)!.filter((other) => other !== slot)
    if (left.length === 0) places.delete(key)
    else places.set(key, left)
  }

  function removeWhere(controllerId: string, test: (slot: Slot) => boolean): void {
    for (const slot of controllers.get(controllerId)?.slots ?? []) if (test(slot)) remove(slot)
  }

  function shrink(slots: Set<Slot>, isTooMuch: () => boolean): void {
    for (const slot of slots) {
      if (!isTooMuch()) return
      remove(slot)
    }
  }

  return {
    find: (place) => (places.get(keyOf(place)) ?? []).map(({ answer }) => answer),
    use(place, answer) {
      const slot = places.get(keyOf(place))?.find((other) => other.answer === answer)
      if (slot === undefined) return
      const own = controllers.get(place.controllerId)!
      for (const slots of [all, own.slots]) {
        slots.delete(slot)
        slots.add(slot)
      }
    },
    put(place, answer) {
      const key = keyOf(place)
      const slot = { place, answer, bytes: sizeOf(place, answer) }
      if (slot.bytes > limits.bytesPerController || slot.bytes > limits.bytes) return
      const present = places.get(key) ?? []
      for (const other of present) if (hasSameVary(other.answer, answer)) remove(other)
      for (const other of (places.get(key) ?? []).slice(MAX_VARIANTS - 1)) remove(other)
      const own = controllers.get(place.controllerId) ?? { slots: new Set<Slot>(), bytes: 0 }
      controllers.set(place.controllerId, own)
      places.set(key, [slot, ...(places.get(key) ?? [])])
      all.add(slot)
      own.slots.add(slot)
      own.bytes += slot.bytes
      bytes += slot.bytes
      shrink(own.slots, () => own.bytes > limits.bytesPerController)
      shrink(all, () => bytes > limits.bytes)
    },
    drop(place, answer) {
      const slot = places.get(keyOf(place))?.find((other) => other.answer === answer)
      if (slot !== undefined) remove(slot)
    },
    forgetAddress: (controllerId, address) =>
      removeWhere(controllerId, ({ place }) => place.address === address),
    forgetHolder(holder, controllerId) {
      for (const id of controllerId === null ? [...controllers.keys()] : [controllerId])
        removeWhere(id, ({ place }) => holder === null || place.holder === holder)
    },
    forgetBefore: (controllerId, epoch) => removeWhere(controllerId, ({ answer }) => answer.epoch < epoch),
    get bytes() {
      return bytes
    },
    get size() {
      return all.size
    },
    invariants() {
      const broken: string[] = []
      const sum = (slots: Iterable<Slot>) => [...slots].reduce((total, slot) => total + slot.bytes, 0)
      if (sum(all) !== bytes) broken.push('bytes in all are not those of the answers')
      if (bytes > limits.bytes) broken.push('more bytes than allowed')
      for (const own of controllers.values()) {
        if (sum(own.slots) !== own.bytes) broken.push('a controller’s bytes are not those of its answers')
        if (own.bytes > limits.bytesPerController) broken.push('more bytes of a controller than allowed')
      }
      if ([...places.values()].flat().length !== all.size) broken.push('places and answers differ in number')
      return broken
    },
  }
}

function keyOf({ controllerId, holder, address }: Place): string {
  return `${controllerId} ${holder} ${address}`
}

function sizeOf(place: Place, { body, headers, vary }: KeptAnswer): number {
  const text = [...headers, ...vary.map(({ value }) => value ?? '')]
  return (
    body.length + place.address.length * 2 + text.reduce((sum, part) => sum + part.length, OVERHEAD_BYTES)
  )
}

function hasSameVary(one: KeptAnswer, other: KeptAnswer): boolean {
  return (
    one.vary.length === other.vary.length &&
    one.vary.every(({ name, value }) =>
      other.vary.some((their) => their.name === name && their.value === value),
    )
  )
}

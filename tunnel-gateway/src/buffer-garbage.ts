/**
 * Bytes on their way live in buffers outside V8's heap, for a moment each. V8 looks after young buffers when young
 * objects have filled their space, which takes long where a few objects carry many bytes; and when buffers add up to
 * 64 MB it goes through the whole heap instead. That was most of the CPU time of a long download. Looking through the
 * young objects alone takes a fraction of a millisecond, so it is asked for in time.
 */
import { collect } from './collector.ts'

/** Every passing byte is in two or three buffers, one after the other. */
const EVERY_BYTES = 3_000_000

let passed = 0

/** To be told of all bytes of bodies and messages that pass through. */
export function bytesPassed(count: number): void {
  passed += count
  if (passed < EVERY_BYTES) return
  passed = 0
  collect({ type: 'minor' })
}

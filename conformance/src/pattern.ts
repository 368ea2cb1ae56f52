/** Bytes that both sides can make, so that one that is lost, doubled or changed shows. */
import { Mismatch } from './case.ts'

/** Octet `at` of every pattern body: (at × 31 + ⌊at ÷ 251⌋) mod 256. */
export function pattern(length: number, from = 0): Buffer {
  const bytes = Buffer.allocUnsafe(length)
  for (let index = 0; index < length; index += 1) {
    const at = from + index
    bytes[index] = (at * 31 + Math.floor(at / 251)) & 0xff
  }
  return bytes
}

/** Throws `Mismatch` unless the bytes are those of the pattern from `from` on. */
export function expectPattern(what: string, came: Uint8Array, length: number, from = 0): void {
  if (came.length !== length) throw new Mismatch(what, `${length} bytes`, `${came.length} bytes`)
  const wanted = pattern(length, from)
  if (wanted.equals(came)) return
  const at = came.findIndex((octet, index) => octet !== wanted[index])
  throw new Mismatch(what, `octet ${wanted[at]} at ${at}`, `octet ${came[at]}`)
}

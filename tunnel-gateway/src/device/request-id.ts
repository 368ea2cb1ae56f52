/** Ids of requests to devices: 128 random bits, so that no device can answer another's request by guessing. */
import { randomFillSync } from 'node:crypto'

const ID_BYTES = 16
const pool = Buffer.alloc(ID_BYTES * 256)
let used = pool.length

export function requestId(): string {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += ID_BYTES
  return pool.toString('base64url', used - ID_BYTES, used)
}

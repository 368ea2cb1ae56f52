/** Bytes that all users' bodies may take at once, before the process sheds load rather than dies of them. */

export interface ByteBudget {
  /** False: nothing was taken. */
  take(bytes: number): boolean
  give(bytes: number): void
  readonly used: number
}

export function createByteBudget(maxBytes: number): ByteBudget {
  let used = 0
  return {
    take(bytes) {
      if (used + bytes > maxBytes) return false
      used += bytes
      return true
    },
    give(bytes) {
      used -= bytes
    },
    get used() {
      return used
    },
  }
}

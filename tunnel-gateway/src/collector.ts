/** V8's garbage collector on request, without a flag for the process. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export type Collect = (options: { type: 'minor' | 'major' }) => void

let collector: Collect | null = null

/** Collects among young objects (a fraction of a millisecond) or in the whole heap (up to some 100 ms). Returns when done. */
export const collect: Collect = (options) => {
  collector ??= exposed()
  collector(options)
}

function exposed(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as Collect
}

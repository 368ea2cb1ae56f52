/** What the arguments of `npm test` choose. */
import { KINDS } from './discover.ts'
import type { Kind } from './discover.ts'

export interface Selection {
  /** Files and folders; the root when there are none. */
  readonly paths: readonly string[]
  isWanted(kind: Kind): boolean
  /** Kinds named by `--without`. */
  readonly left: readonly Kind[]
  readonly hasChecks: boolean
  readonly hasTests: boolean
}

/** Arguments: kinds, `check`, paths, `--without <kind>`; throws when `--without` names no kind. */
export function parseSelection(args: readonly string[]): Selection {
  const left: Kind[] = []
  const rest: string[] = []
  for (let index = 0; index < args.length; index += 1) {
    const arg = args[index]!
    if (arg !== '--without') {
      rest.push(arg)
      continue
    }
    index += 1
    const kind = args[index] ?? ''
    if (!isKind(kind)) throw new Error(`--without needs one of ${KINDS.join(', ')}, not '${kind}'`)
    left.push(kind)
  }
  const kinds = rest.filter(isKind)
  const paths = rest.filter((arg) => arg !== 'check' && !isKind(arg))
  const hasChecks = rest.length === 0 || rest.includes('check')
  return {
    paths,
    left,
    isWanted: (kind) => !left.includes(kind) && (kinds.length === 0 || kinds.includes(kind)),
    hasChecks,
    hasTests: rest.length === 0 || kinds.length > 0 || paths.length > 0,
  }
}

function isKind(arg: string): arg is Kind {
  return (KINDS as readonly string[]).includes(arg)
}

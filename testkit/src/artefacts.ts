import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = join(import.meta.dirname, '../../artefacts')

/** The full path of a file under `artefacts/` (not in git), its folder made. */
export function artefact(...path: string[]): string {
  const file = join(root, ...path)
  mkdirSync(dirname(file), { recursive: true })
  return file
}

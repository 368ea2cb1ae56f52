import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../start/root.ts'
import { discoverTests } from '../test/discover.ts'
import { fillThreats } from './threats.ts'

/** `docs/security.md` with its last column written anew from the titles of all tests. */
export function threatsText(): string {
  const files = discoverTests(ROOT, []).map(({ path }) => ({
    path,
    text: readFileSync(join(ROOT, path), 'utf8'),
  }))
  return fillThreats(readFileSync(join(ROOT, 'docs/security.md'), 'utf8'), files)
}

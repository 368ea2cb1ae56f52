/** The portal's built files, read once, each with its ready-made compressed forms. */
import { createHash } from 'node:crypto'
import { globSync, readFileSync, statSync } from 'node:fs'
import { extname, join } from 'node:path'

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
}

/** Content codings in the order they are preferred, with the ending of a file in that form. */
export const CODINGS = [
  { name: 'br', ending: '.br' },
  { name: 'gzip', ending: '.gz' },
] as const
export type Coding = (typeof CODINGS)[number]['name']

export interface Form {
  readonly bytes: Buffer
  readonly etag: string
}

export interface StaticFile {
  readonly plain: Form
  readonly compressed: Readonly<Partial<Record<Coding, Form>>>
  readonly type: string
  /** Its name carries a hash of what is in it. */
  readonly isImmutable: boolean
}

/** What is in `folder` now, by path with a leading `/`. Hidden files are left out; `a.js.br` is a form of `a.js`, no file of its own. */
export function readPortal(folder: string): ReadonlyMap<string, StaticFile> {
  const names = new Set(
    globSync('**/*', { cwd: folder })
      .map((name) => name.split('\\').join('/'))
      .filter((name) => !/(^|\/)\./.test(name) && statSync(join(folder, name)).isFile()),
  )
  const files = new Map<string, StaticFile>()
  for (const name of names) {
    if (CODINGS.some(({ ending }) => name.endsWith(ending) && names.has(name.slice(0, -ending.length))))
      continue
    const forms = CODINGS.filter(({ ending }) => names.has(name + ending)).map(
      (coding) => [coding.name, formOf(join(folder, name + coding.ending))] as const,
    )
    files.set(`/${name}`, {
      plain: formOf(join(folder, name)),
      compressed: Object.fromEntries(forms),
      type: TYPES[extname(name)] ?? 'application/octet-stream',
      isImmutable: name.startsWith('assets/'),
    })
  }
  return files
}

/** Bytes of different forms differ, and so do their tags. */
function formOf(path: string): Form {
  const bytes = readFileSync(path)
  return { bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"` }
}

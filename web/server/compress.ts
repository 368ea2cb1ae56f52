/** Writes `.br` and `.gz` beside each built file that gains by it: `node web/server/compress.ts web/dist`. */
import { globSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'

/** Below it a packet carries the whole file anyway. */
const LEAST_BYTES = 1_024

/** Compresses what is text or wasm in `folder`, as small as it gets. @returns how many files got forms. */
export function compressFolder(folder: string): number {
  let count = 0
  for (const name of globSync('**/*.{html,js,css,json,webmanifest,svg,wasm,txt}', { cwd: folder })) {
    const path = join(folder, name)
    if (!statSync(path).isFile() || statSync(path).size < LEAST_BYTES) continue
    const bytes = readFileSync(path)
    const forms = [
      {
        ending: '.br',
        bytes: brotliCompressSync(bytes, {
          params: {
            [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
            [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
          },
        }),
      },
      { ending: '.gz', bytes: gzipSync(bytes, { level: constants.Z_BEST_COMPRESSION }) },
    ].filter((form) => form.bytes.length < bytes.length)
    for (const form of forms) writeFileSync(path + form.ending, form.bytes)
    if (forms.length > 0) count += 1
  }
  return count
}

if (import.meta.main) {
  const folder = process.argv[2]
  if (!folder) {
    process.stderr.write('usage: node web/server/compress.ts FOLDER\n')
    process.exit(2)
  }
  process.stdout.write(`${compressFolder(folder)} files compressed\n`)
}

/** A tar archive (ustar) of small texts: nothing but what the report needs. */

export interface TarEntry {
  /** Path inside of the archive; at most 100 bytes of ASCII. */
  readonly path: string
  readonly content: string
}

const BLOCK = 512

/** @param mtime Of every entry, ms since 1970. */
export function tar(entries: readonly TarEntry[], mtime: number): Buffer {
  const blocks = entries.flatMap(({ path, content }) => {
    const bytes = Buffer.from(content)
    const padding = Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)
    return [header(path, bytes.length, mtime), bytes, padding]
  })
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)])
}

function header(path: string, size: number, mtime: number): Buffer {
  if (!/^[\x21-\x7E]+$/.test(path) || path.length > 100) throw new Error(`not a path for an archive: ${path}`)
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`
  block.write(path, 0)
  block.write(octal(0o644, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(size, 11), 124)
  block.write(octal(Math.floor(mtime / 1_000), 11), 136)
  block.write(' '.repeat(8), 148)
  block.write('0', 156)
  block.write('ustar', 257)
  block.write('00', 263)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)} `, 148)
  return block
}

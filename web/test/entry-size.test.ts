/** What a person loads before he can sign in. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { z } from 'zod'

const LIMIT = 160 * 1_024
const dist = join(import.meta.dirname, '../dist')
const Manifest = z.record(
  z.string(),
  z.object({ file: z.string(), imports: z.array(z.string()).default([]) }),
)

for (const language of ['en', 'ru']) {
  test(`the sign-in page in "${language}" takes at most 160 KiB of gzipped JavaScript`, () => {
    const manifest = Manifest.parse(JSON.parse(readFileSync(join(dist, '.vite/manifest.json'), 'utf8')))
    const chunks = new Set<string>()
    const add = (name: string): void => {
      if (chunks.has(name)) return
      chunks.add(name)
      manifest[name]?.imports.forEach(add)
    }
    for (const name of ['index.html', 'src/sign-in/SignInPage.vue', `src/i18n/${language}.ts`]) {
      assert.ok(manifest[name], `${name} is not in the build`)
      add(name)
    }
    const files = [...new Set([...chunks].map((name) => manifest[name]!.file))].filter((file) =>
      file.endsWith('.js'),
    )
    const bytes = files.reduce((sum, file) => sum + gzipSync(readFileSync(join(dist, file))).length, 0)
    assert.ok(bytes <= LIMIT, `${(bytes / 1_024).toFixed(1)} KiB in ${files.length} files`)
  })
}

test('nothing in the build names a foreign host that it would load from', () => {
  const index = readFileSync(join(dist, 'index.html'), 'utf8')
  assert.doesNotMatch(index, /(src|href)="(https?:)?\/\//)
  assert.doesNotMatch(index, /<style|\sstyle=|<script(?![^>]*\ssrc=)/)
})

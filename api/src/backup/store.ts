/** Backups in a target: each is `NAME.dump` with `NAME.json` beside it, written last, so that one without it is none. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable, Transform } from 'node:stream'
import type { TransformCallback } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { backupName, BackupManifest, BackupName, backupTime } from './core/manifest.ts'
import { outdated } from './core/retention.ts'
import type { Retention } from './core/retention.ts'
import type { Target } from './target.ts'

/** A dump without its manifest is being written, or was given up; after this it was given up. */
const GIVEN_UP_AFTER_MS = 24 * 60 * 60 * 1_000

export interface BackupStore {
  /** Stores the dump and reads it back. Rejects when the file is no dump of `pg_dump --format=custom`, or comes back changed. */
  save(
    file: string,
    about: { at: Date; release: string; keys: BackupManifest['keys'] },
  ): Promise<BackupManifest>
  /** Names of complete backups, newest first. */
  names(): Promise<string[]>
  manifest(name: string): Promise<BackupManifest>
  /** Writes the dump to `file`; rejects when it isn't what the manifest says. */
  fetch(manifest: BackupManifest, file: string): Promise<void>
  /** Removes what the retention doesn't keep, and what was given up; answers the names. */
  prune(retention: Retention, now: Date): Promise<string[]>
}

/** The backups that `target` keeps. */
export function createBackupStore(target: Target): BackupStore {
  async function inventory(): Promise<{ complete: string[]; dumps: string[] }> {
    const files = await target.list()
    const named = (ending: string) =>
      files
        .filter((file) => file.endsWith(ending))
        .map((file) => file.slice(0, -ending.length))
        .filter((name) => BackupName.safeParse(name).success)
    const dumps = new Set(named('.dump'))
    return { complete: named('.json').filter((name) => dumps.has(name)), dumps: [...dumps] }
  }

  return {
    async save(file, { at, release, keys }) {
      await assertDump(file)
      const name = backupName(at)
      const sent = createMeter()
      const source = createReadStream(file)
      source.once('error', (error) => sent.destroy(error))
      await target.put(`${name}.dump`, source.pipe(sent))
      const manifest = {
        version: 1 as const,
        name,
        createdAt: at.toISOString(),
        ...sent.result(),
        release,
        keys,
      }
      const back = createMeter()
      await pipeline(await target.get(`${name}.dump`), back, discard)
      assertSame(manifest, back.result(), target)
      await target.put(
        `${name}.json`,
        Readable.from([`${JSON.stringify(manifest, null, 2)}\n`], { objectMode: false }),
      )
      return manifest
    },
    async names() {
      return (await inventory()).complete.toSorted().toReversed()
    },
    async manifest(name) {
      return BackupManifest.parse(JSON.parse(await text(await target.get(`${name}.json`))))
    },
    async fetch(manifest, file) {
      const meter = createMeter()
      await pipeline(
        await target.get(`${manifest.name}.dump`),
        meter,
        createWriteStream(file, { mode: 0o600 }),
      )
      assertSame(manifest, meter.result(), target)
    },
    async prune(retention, now) {
      const { complete, dumps } = await inventory()
      const given = dumps.filter(
        (name) => !complete.includes(name) && now.getTime() - backupTime(name).getTime() > GIVEN_UP_AFTER_MS,
      )
      const gone = [...outdated(complete, retention, now), ...given]
      for (const name of gone) {
        // In this order: what is half removed is incomplete, not broken.
        await target.remove(`${name}.json`)
        await target.remove(`${name}.dump`)
      }
      return gone
    },
  }
}

/** Passes bytes on and knows afterwards what they were. */
function createMeter(): Transform & { result(): { bytes: number; sha256: string } } {
  const hash = createHash('sha256')
  let bytes = 0
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      hash.update(chunk)
      bytes += chunk.length
      done(null, chunk)
    },
  })
  return Object.assign(meter, { result: () => ({ bytes, sha256: hash.digest('hex') }) })
}

async function discard(source: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of source);
}

async function assertDump(file: string): Promise<void> {
  const handle = await open(file)
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(5), 0, 5, 0)
    if (bytesRead < 5 || buffer.toString('latin1') !== 'PGDMP')
      throw new Error(`${file} is no dump: make it with pg_dump --format=custom`)
  } finally {
    await handle.close()
  }
}

function assertSame(
  { name, bytes, sha256 }: BackupManifest,
  found: { bytes: number; sha256: string },
  { description }: Target,
): void {
  if (found.bytes === bytes && found.sha256 === sha256) return
  throw new Error(
    `${name} in ${description} is damaged: ${bytes} bytes with sha256 ${sha256} were expected, ${found.bytes} with ${found.sha256} came`,
  )
}

/** Backups in a bucket of a real store that checks signatures. Its program is built as those of Kubernetes are. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { startObjectStore } from '@wmoc/testkit/object-store'
import type { ObjectStore } from '@wmoc/testkit/object-store'
import { createBackupStore } from './store.ts'
import { openTarget } from './target.ts'

const KEYS = {
  SECRETS_KEY: '0'.repeat(16),
  DEVICE_CREDENTIAL_KEY: '1'.repeat(16),
  PASSWORD_PEPPER: '2'.repeat(16),
}
/** Three parts of an upload. */
const LARGE_BYTES = 70 * 1024 * 1024

suite('backups in a bucket', () => {
  let s3: ObjectStore
  let folder: string
  let file: string
  before(async () => {
    s3 = await startObjectStore()
    Object.assign(process.env, s3.env)
    folder = mkdtempSync(join(tmpdir(), 'wmoc-s3-test-'))
    file = join(folder, 'wmoc.dump')
  })
  after(async () => {
    await s3.stop()
    rmSync(folder, { recursive: true })
  })

  const open = (prefix: string) =>
    createBackupStore(openTarget({ BACKUP_TARGET: `s3://${s3.bucket}/${prefix}`, S3_FORCE_PATH_STYLE: true }))
  const about = (at: string) => ({ at: new Date(at), release: '1.0.0', keys: KEYS })

  test('a dump of several parts comes back as it was, and so does its manifest', async () => {
    writeFileSync(file, Buffer.concat([Buffer.from('PGDMP'), randomBytes(LARGE_BYTES)]))
    const store = open('production/')
    const manifest = await store.save(file, about('2026-11-21T03:17:00Z'))
    assert.equal(manifest.bytes, LARGE_BYTES + 5)
    assert.deepEqual(await store.names(), ['wmoc-20261121T031700Z'])
    assert.deepEqual(await store.manifest(manifest.name), manifest)
    const back = join(folder, 'back.dump')
    await store.fetch(manifest, back)
    assert.ok(readFileSync(back).equals(readFileSync(file)))
  })

  test('prefixes are worlds of their own; what retention drops is gone from the bucket', async () => {
    writeFileSync(file, 'PGDMP small')
    const store = open('staging')
    for (const day of ['01', '02', '03']) await store.save(file, about(`2026-11-${day}T00:00:00Z`))
    const gone = await store.prune({ keep: 1, keepMs: 0 }, new Date('2026-11-21T00:00:00Z'))
    assert.deepEqual(gone, ['wmoc-20261101T000000Z', 'wmoc-20261102T000000Z'])
    assert.deepEqual(readdirSync(join(s3.folder, 'staging')).toSorted(), [
      'wmoc-20261103T000000Z.dump',
      'wmoc-20261103T000000Z.json',
    ])
    assert.equal((await open('production').names()).length, 1)
  })

  test('a damaged object is noticed', async () => {
    const store = open('damaged')
    const manifest = await store.save(file, about('2026-11-21T00:00:00Z'))
    const object = join(s3.folder, 'damaged', `${manifest.name}.dump`)
    writeFileSync(object, 'PGDMP smalL')
    await assert.rejects(store.fetch(manifest, join(folder, 'no.dump')), /is damaged: 11 bytes/)
  })

  test('the store refuses another secret, and nothing is left behind', async () => {
    process.env['AWS_SECRET_ACCESS_KEY'] = 'another'
    const store = open('refused')
    await assert.rejects(store.save(file, about('2026-11-21T00:00:00Z')), { name: 'SignatureDoesNotMatch' })
    process.env['AWS_SECRET_ACCESS_KEY'] = s3.env['AWS_SECRET_ACCESS_KEY']
    assert.deepEqual(await open('refused').names(), [])
  })

  test('a bucket that is not there is said by name', async () => {
    const store = createBackupStore(
      openTarget({ BACKUP_TARGET: 's3://elsewhere', S3_FORCE_PATH_STYLE: true }),
    )
    await assert.rejects(store.names(), { name: 'NoSuchBucket' })
  })
})

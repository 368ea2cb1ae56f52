/** Brings a backup back into a database: `node api/src/backup/restore.ts --help`. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { createDatabase } from '../kernel/db.ts'
import { changedKeys } from './core/manifest.ts'
import type { BackupManifest } from './core/manifest.ts'
import { finishRestore } from './finish.ts'
import { keyFingerprints } from './keys.ts'
import { BackupRefused, runBackupTool } from './open-backup-tool.ts'
import { parseRestoreOptions, USAGE } from './restore-options.ts'
import type { RestoreOptions } from './restore-options.ts'
import { emptyDatabase, inspectDatabase, loadDump, RESTORE_APPLICATION } from './restore-target.ts'
import type { DatabaseState } from './restore-target.ts'
import { createBackupStore } from './store.ts'
import type { BackupStore } from './store.ts'
import { openTarget } from './target.ts'

await runBackupTool('restore', USAGE, async ({ config, log }) => {
  const options = parseRestoreOptions(process.argv.slice(2))
  const openDatabase = () =>
    createDatabase({
      url: config.DATABASE_URL,
      poolMax: 3,
      log,
      applicationName: RESTORE_APPLICATION,
      statementTimeoutMs: 0,
    })
  if (options.finish) {
    const db = openDatabase()
    try {
      return await finishRestore(db, config.DATABASE_URL, log)
    } finally {
      await db.close()
    }
  }
  const target = openTarget(config)
  const store = createBackupStore(target)
  if (options.list) return { target: target.description, backups: await store.names() }

  const manifest = await choose(store, options, target.description)
  const changed = changedKeys(manifest.keys, keyFingerprints(config))
  if (changed.length > 0 && !options['other-keys'])
    throw new BackupRefused(
      `${changed.join(', ')}: not what ${manifest.name} was taken with, so parts of it could not be read. Give the secrets of that time, or --other-keys`,
    )
  const db = openDatabase()
  const folder = options.to ? null : await mkdtemp(join(tmpdir(), 'wmoc-restore-'))
  const file = options.to ?? join(folder!, `${manifest.name}.dump`)
  try {
    const state = await inspectDatabase(db)
    await assertMayWrite(state, options)
    await store.fetch(manifest, file)
    log.info('db', 'dump fetched', { name: manifest.name, bytes: manifest.bytes })
    if (state.schemas.length > 0) await emptyDatabase(db, state.schemas)
    if (options.to) return { name: manifest.name, file }
    await loadDump(config.DATABASE_URL, file)
    log.info('db', 'dump loaded', { database: state.database })
    return {
      name: manifest.name,
      database: state.database,
      ...(await finishRestore(db, config.DATABASE_URL, log)),
    }
  } finally {
    await db.close()
    if (folder) await rm(folder, { recursive: true })
  }
})

async function choose(store: BackupStore, { name }: RestoreOptions, place: string): Promise<BackupManifest> {
  const names = await store.names()
  const chosen = name ?? names[0]
  if (chosen === undefined) throw new BackupRefused(`there is no backup in ${place}`)
  if (!names.includes(chosen)) throw new BackupRefused(`${chosen} is not in ${place}: --list says what is`)
  return store.manifest(chosen)
}

/** Throws BackupRefused unless the database is empty, or may be emptied and nobody works in it. */
async function assertMayWrite(state: DatabaseState, options: RestoreOptions): Promise<void> {
  const { database, schemas, processes } = state
  if (schemas.length === 0) return
  if (!options.overwrite)
    throw new BackupRefused(
      `the database ${database} is not empty (${schemas.join(', ')}): give an empty one, or --overwrite to lose what is in it`,
    )
  if (processes.length > 0)
    throw new BackupRefused(`${processes.join(', ')} are connected to ${database}: stop them first`)
  if (options.yes) return
  if (!process.stdin.isTTY) throw new BackupRefused('nobody is there to ask: give --yes to overwrite')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`Everything in ${database} will be lost. Type its name to go on: `)
  terminal.close()
  if (answer.trim() !== database) throw new BackupRefused('nothing was changed')
}

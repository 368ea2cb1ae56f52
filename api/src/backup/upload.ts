/**
 * Takes a dump that `pg_dump --format=custom` made, puts it where backups are kept, reads it back, removes old ones and
 * writes down in the database that there is a new one: `node api/src/backup/upload.ts`.
 */
import packageJson from '../../package.json' with { type: 'json' }
import { createDatabase } from '../kernel/db.ts'
import { keyFingerprints } from './keys.ts'
import { BackupRefused, runBackupTool } from './open-backup-tool.ts'
import { recordBackup } from './record.ts'
import { createBackupStore } from './store.ts'
import { openTarget } from './target.ts'

const DAY_MS = 24 * 60 * 60 * 1_000

await runBackupTool(
  'backup',
  'usage: upload.ts, with BACKUP_FILE and BACKUP_TARGET',
  async ({ config, log }) => {
    if (!config.BACKUP_FILE) throw new BackupRefused('BACKUP_FILE names no dump')
    const at = new Date()
    const target = openTarget(config)
    const store = createBackupStore(target)
    const manifest = await store.save(config.BACKUP_FILE, {
      at,
      release: packageJson.version,
      keys: keyFingerprints(config),
    })
    log.info('db', 'backup stored', {
      name: manifest.name,
      bytes: manifest.bytes,
      target: target.description,
    })
    const db = createDatabase({ url: config.DATABASE_URL, poolMax: 2, log, applicationName: 'wmoc-backup' })
    try {
      await recordBackup(db, manifest)
    } finally {
      await db.close()
    }
    const retention = { keep: config.BACKUP_KEEP, keepMs: config.BACKUP_KEEP_DAYS * DAY_MS }
    const removed = await store.prune(retention, at)
    return { name: manifest.name, bytes: manifest.bytes, sha256: manifest.sha256, removed }
  },
)

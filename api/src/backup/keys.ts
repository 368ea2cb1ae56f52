/** Fingerprints of the secrets that belong to a database. */
import { createHmac } from 'node:crypto'
import type { BackupConfig } from './config.ts'
import { KEY_NAMES } from './core/manifest.ts'
import type { BackupManifest } from './core/manifest.ts'

/** 64 bits of a MAC each: enough to see that a secret is another one, of no use to find it. */
export function keyFingerprints(
  config: Pick<BackupConfig, (typeof KEY_NAMES)[number]>,
): BackupManifest['keys'] {
  const fingerprint = (key: string | Buffer) =>
    createHmac('sha256', key).update('wmoc.backup.v1').digest('hex').slice(0, 16)
  return Object.fromEntries(
    KEY_NAMES.map((name) => [name, fingerprint(config[name])]),
  ) as BackupManifest['keys']
}

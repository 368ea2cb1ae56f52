/** What lies beside a dump and tells what it is. */
import { z } from 'zod'

/** `wmoc-20261121T031700Z`: sorted by name is sorted by age. */
export const BackupName = z.string().regex(/^wmoc-\d{8}T\d{6}Z$/, 'a name like wmoc-20261121T031700Z')

/** Secrets that a database is worth nothing without. */
export const KEY_NAMES = ['SECRETS_KEY', 'DEVICE_CREDENTIAL_KEY', 'PASSWORD_PEPPER'] as const
export type KeyName = (typeof KEY_NAMES)[number]

export const BackupManifest = z.object({
  version: z.literal(1),
  name: BackupName,
  createdAt: z.iso.datetime(),
  bytes: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Version of the platform that took it. */
  release: z.string().max(100),
  /** Fingerprints of the secrets it was taken with; never the secrets. */
  keys: z.record(z.enum(KEY_NAMES), z.string().regex(/^[0-9a-f]{16}$/)),
})
export type BackupManifest = z.output<typeof BackupManifest>

/** The name of a backup that was taken then. */
export function backupName(at: Date): string {
  return `wmoc-${at
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(/[-:]/g, '')}`
}

/** When a backup of that name was taken. */
export function backupTime(name: string): Date {
  const [, year, month, day, hour, minute, second] = /^wmoc-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(
    name,
  )!
  return new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
}

/** Names of the secrets that are others than those at the time of the backup. */
export function changedKeys(then: BackupManifest['keys'], now: BackupManifest['keys']): KeyName[] {
  return KEY_NAMES.filter((name) => then[name] !== now[name])
}

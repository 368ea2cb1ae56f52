/** Which backups go. */
import { backupTime } from './manifest.ts'

export interface Retention {
  /** The newest so many stay, whatever their age. */
  readonly keep: number
  /** Younger ones stay too, however many. */
  readonly keepMs: number
}

/** The names, in any order, that neither rule keeps; oldest first. */
export function outdated(names: readonly string[], { keep, keepMs }: Retention, now: Date): string[] {
  return names
    .toSorted()
    .slice(0, Math.max(0, names.length - keep))
    .filter((name) => now.getTime() - backupTime(name).getTime() > keepMs)
}

/** The command line of `restore.ts`. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { BackupName } from './core/manifest.ts'
import { BackupRefused } from './open-backup-tool.ts'

export const USAGE = `usage: restore.ts [options]

  --list          say which backups there are, newest first, and end
  --name NAME     the backup to restore; the newest unless given
  --to FILE       only fetch the dump into FILE, for a pg_restore elsewhere; the database is checked (and, with --overwrite,
                  emptied) all the same. Without it pg_restore of the PATH loads it, and --finish is done as well
  --finish        only what is left after a pg_restore elsewhere: bring the schema up to date, end what must not come
                  back to life (sessions, links in mails)
  --overwrite     empty the database first where there is something in it; asks for its name
  --yes           don't ask
  --other-keys    restore although this environment's secrets are others than those of the backup`

const Options = z.object({
  list: z.boolean(),
  name: BackupName.optional(),
  to: z.string().min(1).optional(),
  finish: z.boolean(),
  overwrite: z.boolean(),
  yes: z.boolean(),
  'other-keys': z.boolean(),
})
export type RestoreOptions = z.output<typeof Options>

/** Parses the arguments; throws BackupRefused with the usage. */
export function parseRestoreOptions(args: readonly string[]): RestoreOptions {
  const flag = { type: 'boolean', default: false } as const
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        list: flag,
        name: { type: 'string' },
        to: { type: 'string' },
        finish: flag,
        overwrite: flag,
        yes: flag,
        'other-keys': flag,
      },
    })
    return Options.parse(values)
  } catch (error) {
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : (error as Error).message
    throw new BackupRefused(`${reason}\n\n${USAGE}`)
  }
}

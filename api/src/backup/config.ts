/** Every variable the backup commands read from the environment; `--help` prints this table. */
import { defineConfig, flag } from '@wmoc/platform/config'
import { z } from 'zod'
import { apiConfig } from '../config.ts'

const { DATABASE_URL, DEVICE_CREDENTIAL_KEY, PASSWORD_PEPPER, SECRETS_KEY, LOG_LEVEL, LOG_FORMAT, NODE_ENV } =
  apiConfig.variables

export const backupConfig = defineConfig({
  name: 'wmoc-backup',
  description:
    'Puts a dump of the database where backups are kept (upload.ts), or brings one back (restore.ts)',
  variables: {
    NODE_ENV,
    LOG_LEVEL,
    LOG_FORMAT,
    DATABASE_URL,
    DEVICE_CREDENTIAL_KEY,
    PASSWORD_PEPPER,
    SECRETS_KEY,
    BACKUP_FILE: {
      schema: z.string().min(1).optional(),
      description: 'The dump to upload, as `pg_dump --format=custom` made it',
    },
    BACKUP_TARGET: {
      schema: z
        .string({ error: 'is required' })
        .regex(
          /^(?:file:\/\/\/.+|s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?:\/.*)?)$/,
          'file:///folder or s3://bucket/prefix',
        ),
      description: 'Where backups are kept: file:///folder or s3://bucket/prefix',
    },
    BACKUP_KEEP: {
      schema: z.coerce.number().int().min(1).max(10_000).default(14),
      description: 'How many of the newest are kept, whatever their age',
    },
    BACKUP_KEEP_DAYS: {
      schema: z.coerce.number().min(0).max(3_650).default(0),
      description: 'Younger ones are kept too, however many',
    },
    S3_FORCE_PATH_STYLE: {
      schema: flag(true),
      description:
        'Name the bucket in the path, not in the host; AWS_ENDPOINT_URL_S3, AWS_REGION and credentials are the SDK’s own variables',
    },
  },
})

export type BackupConfig = ReturnType<typeof backupConfig.load>

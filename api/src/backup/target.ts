/** A place that keeps files by name: a folder, or a bucket. */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import type { BackupConfig } from './config.ts'
import { openBucket } from './s3-target.ts'

export interface Target {
  /** For messages; carries no secret. */
  readonly description: string
  /** Stores the whole file under the name; nothing is there under it until all of it is. */
  put(name: string, content: Readable): Promise<void>
  /** Rejects where there is none. */
  get(name: string): Promise<Readable>
  list(): Promise<string[]>
  /** One that isn't there is gone already. */
  remove(name: string): Promise<void>
}

/** The place that BACKUP_TARGET names. */
export function openTarget(config: Pick<BackupConfig, 'BACKUP_TARGET' | 'S3_FORCE_PATH_STYLE'>): Target {
  const url = new URL(config.BACKUP_TARGET)
  if (url.protocol === 'file:') return openFolder(fileURLToPath(url))
  return openBucket({
    bucket: url.hostname,
    prefix: decodeURIComponent(url.pathname)
      .replace(/^\//, '')
      .replace(/([^/])$/, '$1/'),
    isPathStyle: config.S3_FORCE_PATH_STYLE,
  })
}

function openFolder(folder: string): Target {
  return {
    description: folder,
    async put(name, content) {
      await mkdir(folder, { recursive: true })
      const partial = join(folder, `.${name}.partial`)
      await pipeline(content, createWriteStream(partial, { mode: 0o600 }))
      const file = await open(partial, 'r+')
      await file.sync()
      await file.close()
      await rename(partial, join(folder, name))
    },
    async get(name) {
      const file = await open(join(folder, name))
      return createReadStream('', { fd: file })
    },
    async list() {
      const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
        // Made by the first backup.
        if (error.code === 'ENOENT') return []
        throw error
      })
      return names.filter((name) => !name.startsWith('.'))
    },
    remove: (name) => rm(join(folder, name), { force: true }),
  }
}

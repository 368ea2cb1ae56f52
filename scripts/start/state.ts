/** What one start leaves for the next: data folders and the keys, all under one folder. */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

const Key = z.string().min(32)
const Secrets = z.object({
  postgresPassword: Key,
  redisPassword: Key,
  storeToken: Key,
  INTERNAL_TOKEN: Key,
  DEVICE_CREDENTIAL_KEY: Key,
  PASSWORD_PEPPER: Key,
  SECRETS_KEY: z.base64(),
  PAGE_COOKIE_KEY: Key,
})
export type Secrets = z.infer<typeof Secrets>

export interface State {
  readonly folder: string
  readonly secrets: Secrets
  path(...parts: string[]): string
  /** Says that nobody uses the folder any more. */
  release(): void
}

/** Opens the state folder, making it the first time. Throws when another start uses it. */
export function openState(folder: string): State {
  mkdirSync(folder, { recursive: true })
  const owner = join(folder, 'pid')
  const other = existsSync(owner) ? Number(readFileSync(owner, 'utf8')) : null
  if (other !== null && other !== process.pid && isStart(other)) {
    throw new Error(`${folder} is used by another start (pid ${other}): stop that one first`)
  }
  writeFileSync(owner, String(process.pid))
  mkdirSync(join(folder, 'logs'), { recursive: true })
  return {
    folder,
    secrets: loadSecrets(join(folder, 'secrets.json')),
    path: (...parts) => join(folder, ...parts),
    release: () => rmSync(owner, { force: true }),
  }
}

/** Forgets everything an earlier start left. */
export function resetState(folder: string): void {
  openState(folder).release()
  rmSync(folder, { recursive: true, force: true })
}

function loadSecrets(file: string): Secrets {
  if (existsSync(file)) return Secrets.parse(JSON.parse(readFileSync(file, 'utf8')))
  const key = () => randomBytes(32).toString('base64url')
  const secrets: Secrets = {
    postgresPassword: key(),
    redisPassword: key(),
    storeToken: key(),
    INTERNAL_TOKEN: key(),
    DEVICE_CREDENTIAL_KEY: key(),
    PASSWORD_PEPPER: key(),
    SECRETS_KEY: randomBytes(32).toString('base64'),
    PAGE_COOKIE_KEY: key(),
  }
  // Whole or not at all: half a file would lock the data away.
  writeFileSync(`${file}.new`, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 })
  renameSync(`${file}.new`, file)
  return secrets
}

/** The pid may have gone to another program since. */
function isStart(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return (
      process.platform !== 'linux' ||
      /scripts\/(start|dev)\.ts/.test(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
    )
  } catch {
    return false
  }
}

/** Child processes that cannot outlive us, and a user that PostgreSQL agrees to run as. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs'
import { dirname, delimiter, join } from 'node:path'

/** The full path of a program on the PATH, or null. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | null {
  for (const folder of [...path.split(delimiter), '/usr/sbin', '/sbin']) {
    const file = join(folder, name)
    try {
      accessSync(file, constants.X_OK)
      if (statSync(file).isFile()) return file
    } catch {
      // not in this folder
    }
  }
  return null
}

export interface Leash {
  /** The signal the child gets when the process that started it dies, however it dies. */
  readonly signal: 'TERM' | 'INT' | 'KILL'
  readonly user?: SystemUser | null
}

/**
 * A command line that runs `command` tied to the life of this process (`prctl(2)` PR_SET_PDEATHSIG by `setpriv(1)`),
 * and as another user when one is given. Where `setpriv` is missing (not Linux) the command stays as it is.
 */
export function leashed(command: string, args: readonly string[], leash: Leash): [string, string[]] {
  const setpriv = findProgram('setpriv')
  if (!setpriv) return [command, [...args]]
  const flags = ['--pdeathsig', leash.signal]
  if (leash.user) {
    flags.push('--reuid', String(leash.user.uid), '--regid', String(leash.user.gid), '--clear-groups')
    // A checkout under a folder that only root may enter (/root) stays usable.
    if (leash.user.needsReach) flags.push('--inh-caps=+dac_override', '--ambient-caps=+dac_override')
  }
  return [setpriv, [...flags, '--', command, ...args]]
}

/** For `spawn` where `leashed` could not change the user. */
export function spawnIdentity(user: SystemUser | null): { uid?: number; gid?: number } {
  return user && !findProgram('setpriv') ? { uid: user.uid, gid: user.gid } : {}
}

export interface SystemUser {
  readonly uid: number
  readonly gid: number
  /** The paths it works on lie below a folder closed to others. */
  readonly needsReach: boolean
}

/**
 * Whom to run a server as that refuses root: nobody else (null) for an ordinary user; for root the owner of `dataDir`
 * if it is there already, else the system's `postgres` or `nobody`.
 */
export function unprivilegedUser(dataDir: string, programs: readonly string[]): SystemUser | null {
  if (process.getuid?.() !== 0) return null
  const account = owner(dataDir) ?? passwdEntry('postgres') ?? passwdEntry('nobody')
  if (!account)
    throw new Error('PostgreSQL does not run as root, and there is no user "postgres" or "nobody"')
  return { ...account, needsReach: [dataDir, ...programs].some((path) => !isReachable(dirname(path))) }
}

function owner(path: string): { uid: number; gid: number } | null {
  try {
    const { uid, gid } = statSync(path)
    return uid === 0 ? null : { uid, gid }
  } catch {
    return null
  }
}

function passwdEntry(name: string): { uid: number; gid: number } | null {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`))
  if (!line) return null
  const [, , uid, gid] = line.split(':')
  return { uid: Number(uid), gid: Number(gid) }
}

/** Whether every folder from the root down to `folder` may be entered by anybody. */
function isReachable(folder: string): boolean {
  for (let path = folder; ; path = dirname(path)) {
    try {
      if ((statSync(path).mode & 0o001) === 0) return false
    } catch {
      // not made yet: it will belong to the user itself
    }
    if (path === dirname(path)) return true
  }
}

/** The cgroups (v1) of one cluster: a group of its own in each hierarchy, and their removal when all is dead. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = '/sys/fs/cgroup'
const PREFIX = 'wmoc-cluster-'
const RETRY_MS = 100
const ATTEMPTS = 600

/** Makes the group of this process (named by its id) in each hierarchy, and answers their folders. */
export function createCgroups(): string[] {
  const parents = hierarchies()
  for (const parent of parents) removeLeftOvers(parent)
  return parents.map((parent) => {
    const folder = join(parent, `${PREFIX}${process.pid}`)
    mkdirSync(folder)
    for (const file of ['cpuset.cpus', 'cpuset.mems']) {
      if (existsSync(join(folder, file))) writeFileSync(join(folder, file), readFileSync(join(parent, file)))
    }
    return folder
  })
}

/** The folder of this process in every hierarchy that can be written to. */
function hierarchies(): string[] {
  const lines = readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')
  const folders = lines.flatMap((line) => {
    const [id, names = '', path = '/'] = line.split(':')
    return id === '0' ? [] : [join(ROOT, names.replace(/^name=/, ''), path)]
  })
  const usable = folders.filter((folder) => existsSync(folder))
  if (!usable.some((folder) => folder.startsWith(join(ROOT, 'memory')))) {
    throw new Error(
      'a cluster with nodes needs the cgroup v1 hierarchies under /sys/fs/cgroup, writable: boot with systemd.unified_cgroup_hierarchy=0, or leave these tests out with --without kube',
    )
  }
  return usable
}

/** Groups whose process was killed before it could remove them. */
function removeLeftOvers(parent: string): void {
  for (const name of readdirSync(parent)) {
    if (name.startsWith(PREFIX) && !existsSync(`/proc/${name.slice(PREFIX.length)}`)) {
      removeTree(join(parent, name))
    }
  }
}

/** Removes the groups and all below. Their processes are being killed, which takes seconds on a busy machine: retries. */
export async function removeCgroups(folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    for (let attempt = 0; attempt < ATTEMPTS && !removeTree(folder); attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  }
}

function removeTree(folder: string): boolean {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name))
    }
    rmdirSync(folder)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
  }
}

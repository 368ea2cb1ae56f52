/** Finding ports, and who has the one we want. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'

/** Ports on 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', resolve)
      })
      return server
    }),
  )
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

/** Which process listens on a TCP port of this machine, as far as Linux tells this user; null: it doesn't. */
export function portOwner(port: number): { pid: number; name: string } | null {
  try {
    const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeners(table, port)))
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry) || !holdsSocket(`/proc/${entry}/fd`, inodes)) continue
      return { pid: Number(entry), name: readFileSync(`/proc/${entry}/comm`, 'utf8').trim() }
    }
  } catch {
    // not Linux
  }
  return null
}

/** Inodes of the sockets listening on `port`: columns of proc(5) `/proc/net/tcp`, state 0A. */
function listeners(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return readFileSync(table, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(suffix) && columns[3] === '0A')
    .map((columns) => `socket:[${columns[9]}]`)
}

function holdsSocket(folder: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(folder).some((name) => {
      try {
        return inodes.has(readlinkSync(`${folder}/${name}`))
      } catch {
        return false
      }
    })
  } catch {
    return false
  }
}

/** TCP connections of every network namespace on this machine, as the kernel lists them. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'

export interface Connection {
  /** IPv4 text. */
  readonly local: string
  readonly localPort: number
  readonly remote: string
  readonly remotePort: number
  /** Somebody listens at the local port: the other end called. */
  readonly isServer: boolean
}

const LISTENS = '0A'
/** Established, or closed not long ago. */
const CONNECTED = new Set(['01', '04', '05', '06', '08'])

export function connectionsNow(): Connection[] {
  const seen = new Set<string>()
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const namespace = readlinkSync(`/proc/${pid}/ns/net`)
        if (seen.has(namespace)) return []
        seen.add(namespace)
        const text = ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8')).join('')
        return connectionsIn(text)
      } catch {
        // It has ended since.
        return []
      }
    })
}

/** @param text `/proc/net/tcp` and `tcp6` (proc_net_tcp.rst of the kernel): numbers are hex, addresses little-endian words. */
export function connectionsIn(text: string): Connection[] {
  const rows = [
    ...text.matchAll(/^\s*\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) /gm),
  ]
  const listening = new Set(rows.filter(([, , , , , state]) => state === LISTENS).map(([, , port]) => port))
  return rows.flatMap(([, local, localPort, remote, remotePort, state]) => {
    const [here, there] = [addressOf(local!), addressOf(remote!)]
    if (!CONNECTED.has(state!) || here === null || there === null) return []
    const isServer = listening.has(localPort)
    return [
      { local: here, localPort: hex(localPort!), remote: there, remotePort: hex(remotePort!), isServer },
    ]
  })
}

const hex = (text: string) => Number.parseInt(text, 16)

/** Null: no IPv4, not even in IPv6's clothes. */
function addressOf(text: string): string | null {
  if (text.length === 32 && !text.startsWith('0000000000000000FFFF0000')) return null
  const bytes = text.slice(-8).match(/../g)!.map(hex)
  return bytes.toReversed().join('.')
}

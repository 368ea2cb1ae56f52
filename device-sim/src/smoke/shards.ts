/** Where shards are: names stand for every address that they have, as a headless Service tells them. */
import { lookup } from 'node:dns/promises'

export interface Shard {
  readonly address: string
  readonly port: number
}

/** `host:port` of an address in a URL or a message. */
export function hostPort({ address, port }: Shard): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

/** Every address behind `name:port,…`, each once, sorted. Rejects where a name is not known. */
export async function resolveShards(list: string): Promise<Shard[]> {
  const found = new Map<string, Shard>()
  for (const place of list.split(',')) {
    const url = new URL(`http://${place.trim()}`)
    const port = Number(url.port || 80)
    for (const { address } of await lookup(url.hostname.replace(/^\[|\]$/g, ''), { all: true })) {
      found.set(hostPort({ address, port }), { address, port })
    }
  }
  return [...found].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, shard]) => shard)
}

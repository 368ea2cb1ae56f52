/** Where the shards run, and which controllers each of them holds. */
import { GATEWAY } from './installation.ts'
import type { Installation } from './installation.ts'

export interface PlacedShard {
  readonly name: string
  readonly node: string
  readonly address: string
}

const HTTP_PORT = 8080
const ADMIN_PORT = 9082

interface Pods {
  readonly items: readonly {
    readonly metadata: { readonly name: string }
    readonly spec: { readonly nodeName: string }
    readonly status: { readonly podIP: string }
  }[]
}

export async function shardsOn(installation: Installation, node: string): Promise<PlacedShard[]> {
  const of = ['--selector', `app.kubernetes.io/instance=${GATEWAY}`, '--output=json']
  const { items } = JSON.parse(await installation.kubectl('get', 'pods', ...of)) as Pods
  return items
    .map(({ metadata, spec, status }) => ({
      name: metadata.name,
      node: spec.nodeName,
      address: status.podIP,
    }))
    .filter((shard) => shard.node === node)
}

/** Those of `ids` whose tunnel ends at this shard. */
export async function heldBy(
  { cluster }: Installation,
  { address }: PlacedShard,
  ids: readonly string[],
): Promise<Set<string>> {
  const admin = await cluster.forward(address, ADMIN_PORT)
  try {
    const held = await Promise.all(
      ids.map(async (id) => {
        const answer = await fetch(`${admin.url}/where/${id}`)
        const { tunnel } = (await answer.json()) as { tunnel: object | null }
        return tunnel === null ? [] : [id]
      }),
    )
    return new Set(held.flat())
  } finally {
    await admin.close()
  }
}

/** A port of this machine that leads to this shard alone. */
export function openShard({ cluster }: Installation, { address }: PlacedShard) {
  return cluster.forward(address, HTTP_PORT)
}

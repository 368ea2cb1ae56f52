/** Which controller is meant, and where its tunnel is. */
import type { Pod } from 'kubernetes-types/core/v1.d.ts'
import { z } from 'zod'
import { Controllers } from '#src/kinds/controller/schema.ts'
import { isKubeError } from '#src/runtime/errors.ts'
import type { Stored } from '#src/runtime/objects.ts'
import { UsageError } from './options.ts'
import type { Session } from './session.ts'
import { askShard } from './shards.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const MAC = /^[0-9a-f]{2}([:-]?[0-9a-f]{2}){5}$/i

/** The id behind an id, a MAC or a name. A MAC is known here only of controllers that the cluster declares. */
export async function controllerIdOf({ client, namespace }: Session, given: string): Promise<string> {
  if (UUID.test(given)) return given.toLowerCase()
  const { items } = await client.list(Controllers, { namespace }).catch((error: unknown) => {
    if (isKubeError(error, 'NotFound')) return { items: [] }
    throw error
  })
  const mac = MAC.test(given) ? given.replaceAll(/[:-]/g, '').toUpperCase() : null
  const found = items.find(({ metadata, spec }) =>
    mac === null ? metadata.name === given : spec.mac.replaceAll(':', '') === mac,
  )
  if (found === undefined) {
    const what =
      mac === null ? `no object Controller "${given}"` : `no object Controller with the MAC ${given}`
    throw new UsageError(`there is ${what} in the namespace ${namespace}; give the id that the portal shows`)
  }
  const id = found.status?.controllerId
  if (id === undefined)
    throw new UsageError(
      `${found.metadata.name} has no id yet: its device has not registered; see kubectl describe wctl ${found.metadata.name}`,
    )
  return id
}

const Where = z.object({
  shard: z.string(),
  tunnel: z.object({ epoch: z.number(), dialect: z.string(), isLeaving: z.boolean() }).nullable(),
  owner: z.string().nullable(),
  presence: z.union([z.literal('unknown'), z.looseObject({ shard: z.string() }), z.null()]),
})
export type Where = z.output<typeof Where> & { readonly pod: string }

/** What each shard that answers says of a controller. */
export async function askAll(session: Session, pods: readonly Stored<Pod>[], id: string): Promise<Where[]> {
  const answers = await Promise.all(
    pods.map(async (pod) => {
      const text = await askShard(session, pod, `/where/${id}`)
      const parsed = text === null ? null : Where.safeParse(JSON.parse(text))
      return parsed?.success === true ? [{ pod: pod.metadata.name, ...parsed.data }] : []
    }),
  )
  return answers.flat()
}

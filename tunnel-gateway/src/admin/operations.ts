/**
 * What operators, people and programs, ask of a shard over its admin listener:
 * `GET /status`; `GET /where/{controllerId}`; `POST /drain` with `{"evict_per_second", "deadline_ms"}` or nothing, which
 * answers at once and does nothing when a drain is under way; `POST /undrain`, which takes it back.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Presence } from '@wmoc/platform/store'
import { z } from 'zod'
import type { Membership } from '#src/cluster/members.ts'
import type { Hub } from '#src/core/hub.ts'
import type { Tunnel } from '#src/device/tunnel.ts'
import type { Drain } from '#src/drain.ts'

/** Body of `POST /drain`. */
export const DrainBody = z.strictObject({
  /** Tunnels told to go in a second. */
  evict_per_second: z.number().min(0.1).max(100_000).optional(),
  /** From now to the cut, in milliseconds. */
  deadline_ms: z.int().min(0).max(86_400_000).optional(),
})

export interface OperationsParts {
  status(): Promise<Readonly<Record<string, unknown>>>
  readonly drain: Drain
  readonly hub: Pick<Hub<Tunnel>, 'get'>
  readonly membership: Pick<Membership, 'ring' | 'find' | 'self'>
  /** Where the shared store says a controller is; rejects when the store is away. */
  presence(controllerId: string): Promise<Presence | null>
}

type Answer = readonly [status: number, body: unknown]

const MAX_BODY_BYTES = 4_096
const ControllerId = z.uuid()

/** Answers the paths above; false for everything else. */
export function createOperations(
  parts: OperationsParts,
): (request: IncomingMessage, response: ServerResponse) => Promise<boolean> {
  const { drain, hub, membership } = parts

  async function begin(request: IncomingMessage): Promise<Answer> {
    const body = await readBody(request)
    if (body === null) return invalid(`the body is larger than ${MAX_BODY_BYTES} bytes`)
    const asked = parseBody(body)
    if (typeof asked === 'string') return invalid(asked)
    void drain.begin({ evictPerSecond: asked.evict_per_second, deadlineMs: asked.deadline_ms })
    return [202, await parts.status()]
  }

  async function takeBack(): Promise<Answer> {
    if (await drain.cancel()) return [200, await parts.status()]
    return [
      409,
      { code: 'ending', detail: 'The process is ending; its replacement will be ready by itself.' },
    ]
  }

  async function where(given: string): Promise<Answer> {
    const parsed = ControllerId.safeParse(given)
    if (!parsed.success) return invalid('a controller id is a UUID: GET /where/{controllerId}')
    const controllerId = parsed.data
    const tunnel = hub.get(controllerId)
    const owner = membership.ring().ownerOf(controllerId)
    const presence = await parts.presence(controllerId).catch(() => 'unknown' as const)
    return [
      200,
      {
        controllerId,
        shard: membership.self.shard,
        tunnel:
          tunnel === undefined
            ? null
            : { epoch: tunnel.epoch, dialect: tunnel.dialect, isLeaving: tunnel.isLeaving },
        owner,
        presence:
          presence === null || presence === 'unknown'
            ? presence
            : { ...presence, shard: membership.find(presence.shard)?.shard ?? presence.shard },
      },
    ]
  }

  return async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0]!
    const call = `${request.method} ${path}`
    let answer: Answer
    if (call === 'GET /status') answer = [200, await parts.status()]
    else if (call === 'POST /drain') answer = await begin(request)
    else if (call === 'POST /undrain') answer = await takeBack()
    else if (call.startsWith('GET /where/')) answer = await where(path.slice('/where/'.length))
    else return false
    response.writeHead(answer[0], { 'content-type': 'application/json', 'cache-control': 'no-store' })
    response.end(JSON.stringify(answer[1]))
    return true
  }
}

function invalid(detail: string): Answer {
  return [400, { code: 'validation_failed', detail }]
}

/** What was asked, or what is wrong with it. */
function parseBody(text: string): z.infer<typeof DrainBody> | string {
  if (text.trim() === '') return {}
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return 'the body is no JSON; send {"evict_per_second": 100, "deadline_ms": 600000} or nothing'
  }
  const parsed = DrainBody.safeParse(given)
  if (parsed.success) return parsed.data
  return parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`).join('; ')
}

/** Null: too large. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const pieces: Buffer[] = []
  let size = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    size += piece.length
    if (size <= MAX_BODY_BYTES) pieces.push(piece)
  }
  return size > MAX_BODY_BYTES ? null : Buffer.concat(pieces).toString()
}

/** What shards ask each other besides requests: JSON in CMD and CMD_RESULT frames on stream 0. */
import { V1_LIMITS } from '@wmoc/protocol/messages'
import { FRAME } from '@wmoc/protocol/v2/frames'
import type { FrameType } from '@wmoc/protocol/v2/frames'
import { z } from 'zod'
import type { Upstream } from '#src/core/upstream.ts'

/** Controllers of one `locate`, so that question and answer fit their frames. */
export const MAX_LOCATE = 32
const controllerKey = z.string().min(1).max(64)
const count = z.int().min(0)

export const PeerCall = z.discriminatedUnion('name', [
  /** Which of these have their tunnel here? */
  z.object({
    id: count,
    name: z.literal('locate'),
    params: z.object({ controllers: z.array(controllerKey).min(1).max(MAX_LOCATE) }),
  }),
  /** A newer tunnel of this controller is at the caller; the one here is of the past. */
  z.object({
    id: count,
    name: z.literal('superseded'),
    params: z.object({ controller: controllerKey, epoch: count }),
  }),
])
export type PeerCall = z.infer<typeof PeerCall>

/** What the user's side must know of a tunnel before it opens a stream. */
export const TunnelFacts = z.object({
  epoch: count,
  /** Null: any size. */
  maxRequestBody: count.nullable(),
  maxRequestHeader: count,
  takesStreams: z.boolean(),
  takesWebSockets: z.boolean(),
  ownHosts: z.array(z.string().max(110)).max(12),
  /** A shard of an earlier release says nothing of them. */
  ports: z.array(z.int().min(1).max(65_535)).max(V1_LIMITS.maxPagePorts).default([]),
})
export type TunnelFacts = z.infer<typeof TunnelFacts>

/** A tunnel's facts; `leaving`: it was sent away and is expected elsewhere; null: not here. */
export const Whereabouts = z.union([TunnelFacts, z.literal('leaving'), z.null()])
export type Whereabouts = z.infer<typeof Whereabouts>

export const PeerResult = z.object({ id: count, found: z.array(Whereabouts).max(MAX_LOCATE).optional() })
export type PeerResult = z.infer<typeof PeerResult>

/** The facts of a tunnel as they travel. */
export function factsOf(tunnel: Upstream): TunnelFacts {
  const { epoch, maxRequestBody, maxRequestHeader, takesStreams, takesWebSockets, ownHosts, ports } = tunnel
  return {
    epoch,
    maxRequestBody: Number.isFinite(maxRequestBody) ? maxRequestBody : null,
    maxRequestHeader,
    takesStreams,
    takesWebSockets,
    ownHosts: ownHosts.slice(0, 12),
    ports: [...ports],
  }
}

/** Serves a call; what `locate` found, controller by controller. */
export type AnswerCall = (call: PeerCall) => Whereabouts[] | undefined

export interface Calls {
  /** Undefined: no answer in time. */
  locate(controllerId: string): Promise<Whereabouts | undefined>
  superseded(controllerId: string, epoch: number): void
  /** Takes a frame; false: it is none that a shard of ours sends. */
  receive(type: FrameType, payload: Uint8Array): boolean
  /** Answers whoever waits with undefined. */
  close(): void
}

const ANSWER_WITHIN_MS = 1_000

interface Question {
  readonly controllerId: string
  answered(found: Whereabouts | undefined): void
}

/** Both ends of the calls on one link. Questions of one turn of the event loop travel together. */
export function createCalls(
  send: (type: FrameType, payload: Uint8Array) => void,
  answer: AnswerCall | undefined,
): Calls {
  const sent = new Map<number, readonly Question[]>()
  let gathered: Question[] = []
  let lastId = 0
  let isClosed = false

  function ask(): void {
    const questions = gathered
    gathered = []
    for (let start = 0; start < questions.length; start += MAX_LOCATE) {
      const some = questions.slice(start, start + MAX_LOCATE)
      const id = (lastId += 1)
      sent.set(id, some)
      setTimeout(() => settle(id, undefined), ANSWER_WITHIN_MS).unref()
      const controllers = some.map(({ controllerId }) => controllerId)
      send(FRAME.cmd, toJson({ id, name: 'locate', params: { controllers } }))
    }
  }

  function settle(id: number, found: readonly Whereabouts[] | undefined): void {
    const questions = sent.get(id)
    sent.delete(id)
    questions?.forEach((question, index) => question.answered(found?.[index]))
  }

  return {
    locate(controllerId) {
      return new Promise((answered) => {
        if (isClosed) return answered(undefined)
        gathered.push({ controllerId, answered })
        if (gathered.length === 1) setImmediate(ask)
      })
    },
    superseded(controller, epoch) {
      send(FRAME.cmd, toJson({ id: 0, name: 'superseded', params: { controller, epoch } }))
    },
    receive(type, payload) {
      if (type === FRAME.cmdResult) {
        const result = parseJson(PeerResult, payload)
        if (result !== null) settle(result.id, result.found)
        return result !== null
      }
      const call = parseJson(PeerCall, payload)
      if (call === null || answer === undefined) return false
      const found = answer(call)
      if (call.id > 0) send(FRAME.cmdResult, toJson({ id: call.id, found }))
      return true
    },
    close() {
      isClosed = true
      for (const id of sent.keys()) settle(id, undefined)
      for (const question of gathered) question.answered(undefined)
      gathered = []
    },
  }
}

/** JSON to a value of the schema; null: not one. */
function parseJson<Schema extends z.ZodType>(schema: Schema, payload: Uint8Array): z.infer<Schema> | null {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString())
  } catch {
    return null
  }
  const parsed = schema.safeParse(value)
  return parsed.success ? parsed.data : null
}

function toJson(value: PeerCall | PeerResult): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}

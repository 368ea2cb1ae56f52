/** The API's internal calls for enrolment (`enrolments/*` of `protocol/src/control-plane.ts`), strictly read. */
import { z } from 'zod'

const TIMEOUT_MS = 10_000

const Refused = z.object({
  outcome: z.literal('refused'),
  reason: z.enum([
    'owner_unknown',
    'mac_taken',
    'declared_elsewhere',
    'limit_reached',
    'too_many_tags',
    'removed',
    /** Ours: the API could not make sense of what was declared. */
    'invalid',
  ]),
  /** For people: what is wrong and what to do. */
  detail: z.string(),
})
const Enrolled = z.object({
  outcome: z.literal('enrolled'),
  controllerId: z.uuid(),
  state: z.enum(['pending', 'online', 'offline', 'suspended']),
  url: z.string(),
  firmwareVersion: z.string().nullable(),
  shard: z.string().nullable(),
  /** ms since 1970 */
  lastSeenAt: z.number().int().nullable(),
  registered: z.boolean(),
  /** A token that was made just now, shown this once. */
  activation: z
    .object({
      token: z.string(),
      activateUrl: z.string(),
      tunnelUrl: z.string(),
      expiresAt: z.number().int(),
    })
    .nullable(),
  drift: z.array(
    z.object({ field: z.enum(['displayName', 'tags']), declared: z.string(), actual: z.string() }),
  ),
  unknownPeople: z.array(z.string()),
})
export type Refused = z.infer<typeof Refused>
export type Enrolled = z.infer<typeof Enrolled>
export type Answer = Enrolled | Refused

const Answer = z.discriminatedUnion('outcome', [Enrolled, Refused])
const Withdrawn = z.object({ controller: z.enum(['kept', 'deleted', 'none']) })
const Problem = z.object({ detail: z.string().optional(), title: z.string().optional() })

export interface Declaration {
  readonly namespace: string
  readonly name: string
  readonly mac: string
  readonly owner: string
  readonly displayName: string | null
  readonly tags: readonly string[]
  readonly sharedWith: readonly string[]
  readonly suspended: boolean
  /** Null: no token is wanted. `tokenHash`: hex SHA-256 of the token in the Secret; null where none is. */
  readonly activation: { readonly tokenHash: string | null } | null
}

/** The API is away, or refuses us: try again later. */
export class ControlPlaneError extends Error {
  override readonly name = 'ControlPlaneError'
}

export interface ControlPlane {
  /** Makes it so and says what the controller is now. Throws ControlPlaneError. */
  declare(declaration: Declaration, signal: AbortSignal): Promise<Answer>
  /** Ends a declaration; may be repeated. Throws ControlPlaneError. */
  withdraw(
    what: { readonly namespace: string; readonly name: string; readonly delete: boolean },
    signal: AbortSignal,
  ): Promise<z.infer<typeof Withdrawn>['controller']>
}

/** @param url Origin of the API's internal listener. */
export function createControlPlane({ url, token }: { url: string; token: string }): ControlPlane {
  async function call(name: string, input: unknown, signal: AbortSignal) {
    try {
      const response = await fetch(`${url}/internal/${name}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify(input),
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      })
      return { status: response.status, body: await response.json() }
    } catch (cause) {
      const { code } = ((cause as Error).cause ?? {}) as { code?: string }
      throw new ControlPlaneError(`${url} does not answer (${code ?? (cause as Error).message})`, { cause })
    }
  }

  /** What the API said, where it was asked in vain. */
  function failure({ status, body }: { status: number; body: unknown }): ControlPlaneError {
    const { detail, title } = Problem.safeParse(body).data ?? {}
    const hint = status === 401 ? ': INTERNAL_TOKEN is not that of the API' : ''
    return new ControlPlaneError(`${url} answered ${status} ${detail ?? title ?? ''}${hint}`)
  }

  function read<T>(schema: z.ZodType<T>, answer: { status: number; body: unknown }): T {
    if (answer.status !== 200) throw failure(answer)
    const parsed = schema.safeParse(answer.body)
    if (parsed.success) return parsed.data
    throw new ControlPlaneError(
      `${url} answered what this operator does not understand; are both of one release? ${parsed.error.message.slice(0, 300)}`,
    )
  }

  return {
    async declare(declaration, signal) {
      const answer = await call('enrolments/declare', declaration, signal)
      if (answer.status !== 400) return read(Answer, answer)
      return { outcome: 'refused', reason: 'invalid', detail: failure(answer).message }
    },
    async withdraw(what, signal) {
      return read(Withdrawn, await call('enrolments/withdraw', what, signal)).controller
    },
  }
}

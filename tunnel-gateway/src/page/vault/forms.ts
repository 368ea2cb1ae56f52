/** Asks people for a device's name and password, each time with a token that works once, for them and this device. */
import { appError } from '@wmoc/platform/errors'
import { randomToken } from '@wmoc/platform/ids'
import type { Store } from '@wmoc/platform/store'
import { z } from 'zod'
import { portPrefix } from '#src/page/shim/addresses.ts'
import { sendProblem } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import type { Challenge } from './challenge.ts'
import { sendSignInForm } from './form.ts'
import type { FormReason, SignInForm } from './form.ts'

export const SIGN_IN_PATH = '/_wmoc/sign-in'

const Question = z.object({
  userId: z.string(),
  sessionId: z.string(),
  page: z.string(),
  controllerId: z.uuid(),
  /** What was asked for when the device refused, and where it goes on to. */
  path: z.string(),
  port: z.int().nullable(),
  scheme: z.enum(['basic', 'digest']),
  realm: z.string(),
})
export type Question = z.infer<typeof Question>

type Asked = Pick<Question, 'path' | 'port' | 'scheme' | 'realm'>

export interface Forms {
  /** A form for a person who opens a page, a problem for everything else. */
  ask(proxied: ProxyRequest, challenge: Challenge, reason: FormReason): Promise<void>
  /** A new form. */
  show(proxied: ProxyRequest, asked: Asked, reason: FormReason): Promise<void>
  /** The form with the token once more, for later. */
  showAgain(proxied: ProxyRequest, token: string, retryAfterMs: number): void
  /** What this person was asked by the form with the token, once; null: nothing that we know. */
  take(proxied: ProxyRequest, token: string): Promise<Question | null>
  /** A path of the device as an address for the browser, with scheme and host: no path can name another host. */
  addressOf(proxied: ProxyRequest, path: string): string
}

const TOKEN_TTL_MS = 600_000

export function createForms(deps: { store: Store; scheme: 'http' | 'https'; asked: () => void }): Forms {
  const { store } = deps
  const originOf = ({ host }: ProxyRequest) => `${deps.scheme}://${host}`

  function send(
    proxied: ProxyRequest,
    given: Pick<SignInForm, 'reason' | 'realm' | 'token' | 'retryAfterMs'>,
  ): void {
    const { record, request, response, prefix, surface, principal } = proxied
    sendSignInForm(response, {
      ...given,
      device: record.name,
      action: `${prefix}${SIGN_IN_PATH}`,
      origin: originOf(proxied),
      acceptLanguage: request.headers['accept-language'],
      mayRemember: principal.linkId === undefined,
      hasOwnOrigin: surface === 'own_origin',
    })
  }

  async function show(proxied: ProxyRequest, asked: Asked, reason: FormReason): Promise<void> {
    const { record } = proxied
    const token = randomToken(32)
    const question: Question = { ...asked, ...whoseOf(proxied), controllerId: record.controllerId }
    await store
      .set(keyOf(token), JSON.stringify(question), { ttlMs: TOKEN_TTL_MS })
      .catch((cause: unknown) => {
        throw appError('dependency_unavailable', { retryAfterMs: 2_000, cause })
      })
    send(proxied, { reason, realm: asked.realm, token })
  }

  return {
    async ask(proxied, { scheme, realm }, reason) {
      const { response, surface, path, port } = proxied
      if (surface === 'api' || !isForPeople(proxied))
        return sendProblem(response, 'device_sign_in_required', { detail: DETAIL })
      deps.asked()
      await show(proxied, { path, port, scheme, realm }, reason)
    },
    show,
    showAgain: (proxied, token, retryAfterMs) =>
      send(proxied, { reason: 'limited', realm: '', token, retryAfterMs }),
    async take(proxied, token) {
      const text = await store.take(keyOf(token)).catch((cause: unknown) => {
        throw appError('dependency_unavailable', { retryAfterMs: 2_000, cause })
      })
      const question = text === null ? undefined : Question.safeParse(JSON.parse(text)).data
      if (question === undefined || question.controllerId !== proxied.record.controllerId) return null
      const { userId, sessionId, page } = whoseOf(proxied)
      const isTheirs =
        question.userId === userId && question.sessionId === sessionId && question.page === page
      return isTheirs ? question : null
    },
    addressOf: (proxied, path) => `${originOf(proxied)}${portPrefix(proxied, proxied.port)}${path}`,
  }
}

const DETAIL = 'Open the device’s page in a browser and sign in to the device there'

/** A form that was posted opens a page too. */
function isForPeople({ isNavigation, request }: ProxyRequest): boolean {
  return isNavigation || request.headers['sec-fetch-mode'] === 'navigate'
}

function whoseOf({ principal }: ProxyRequest): Pick<Question, 'userId' | 'sessionId' | 'page'> {
  return { userId: principal.userId, sessionId: principal.sessionId, page: principal.page ?? '' }
}

function keyOf(token: string): string {
  return `wmoc:vault-form:${token}`
}

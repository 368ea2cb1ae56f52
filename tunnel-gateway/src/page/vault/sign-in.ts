/** `POST {prefix}/_wmoc/sign-in`: what a person typed is kept for a try, and the page that asked for it is opened again. */
import { appError } from '@wmoc/platform/errors'
import type { LimitRule, Store } from '@wmoc/platform/store'
import { z } from 'zod'
import { createByteBudget } from '#src/core/byte-budget.ts'
import { collectBody, UserLeft } from '#src/user/body.ts'
import { redirect } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'
import type { OwnPath } from '../own-paths.ts'
import type { Forms } from './forms.ts'
import { ownerOf } from './layer.ts'
import type { SignIns } from './sign-ins.ts'

/** Of one person to one device. */
export const SIGN_IN_LIMIT: LimitRule = { burst: 5, count: 5, periodMs: 60_000 }
const MAX_FORM_BYTES = 8_192
const FORM_TIMEOUT_MS = 10_000
const FORM_TYPE = /^application\/x-www-form-urlencoded\s*(?:;|$)/i

// oxlint-disable-next-line no-control-regex
const Text = z.string().regex(/^[^\x00-\x1f\x7f]*$/, 'no control characters')
const Form = z.object({
  token: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  username: Text.max(256),
  password: Text.max(1_024),
  remember: z.literal('yes').optional(),
})

export function createSignInPath(deps: {
  signIns: SignIns
  forms: Forms
  store: Store
  limited: () => void
}): OwnPath {
  const { signIns, forms, store } = deps
  const budget = createByteBudget(64 * MAX_FORM_BYTES)

  async function signIn(proxied: ProxyRequest): Promise<void> {
    const form = await readForm(proxied)
    const { principal, record } = proxied
    const key = `wmoc:limit:vault:${principal.userId}:${record.controllerId}`
    const { allowed, retryAfterMs } = await store.limit(key, SIGN_IN_LIMIT).catch((cause: unknown) => {
      throw appError('dependency_unavailable', { retryAfterMs: 2_000, cause })
    })
    // Before anything is kept for the next form: whoever posts on and on would fill the store.
    if (!allowed) {
      deps.limited()
      return forms.showAgain(proxied, form.token, retryAfterMs)
    }
    const question = await forms.take(proxied, form.token)
    if (question === null)
      return forms.show(proxied, { path: '/', port: null, scheme: 'basic', realm: '' }, 'outdated')
    const { path, port, scheme, realm } = question
    const { username, password, remember } = form
    await signIns.try(
      ownerOf(proxied),
      { scheme, realm, username, password, port },
      { path, remember: remember === 'yes' },
    )
    redirect(proxied.response, 303, forms.addressOf({ ...proxied, port }, path))
  }

  async function readForm({
    request,
    response,
    expectsContinue,
  }: ProxyRequest): Promise<z.infer<typeof Form>> {
    if (!FORM_TYPE.test(request.headers['content-type'] ?? '')) throw appError('unsupported_media_type')
    let taken = 0
    try {
      const body = await collectBody(request, {
        maxBytes: MAX_FORM_BYTES,
        timeoutMs: FORM_TIMEOUT_MS,
        budget,
        onTaken: (bytes) => {
          taken += bytes
        },
        allow: () => expectsContinue && response.writeContinue(),
      })
      const fields = Object.fromEntries(new URLSearchParams(Buffer.from(body).toString('utf8')))
      const form = Form.safeParse(fields)
      // What was typed may be a password: nothing of it goes into the answer.
      if (!form.success) throw appError('malformed', { detail: 'The form is not as it was sent out' })
      return form.data
    } finally {
      budget.give(taken)
    }
  }

  return {
    methods: ['POST'],
    handle: (proxied) =>
      signIn(proxied).catch((error: unknown) => {
        if (!(error instanceof UserLeft)) throw error
      }),
  }
}

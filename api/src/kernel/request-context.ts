import type { Context } from 'koa'
import type { Authenticator } from './authenticator.ts'
import type { Caller, RequestContext } from './module.ts'

/** What a handler sees of its request. `end` must be called when the request is over. */
export function createRequestContext(
  context: Context,
  caller: Caller | null,
  { authenticator, draining }: { authenticator: Authenticator; draining: AbortSignal },
): { value: RequestContext; end(): void } {
  const controller = new AbortController()
  const abort = () => controller.abort()
  context.res.once('close', abort)
  draining.addEventListener('abort', abort)
  const unwatch = caller ? authenticator.watch(caller.sessionId, abort) : () => {}
  const value: RequestContext = {
    caller,
    requestId: String(context.state['requestId']),
    remoteAddress: String(context.state['remoteAddress']),
    userAgent: context.get('user-agent').slice(0, 300) || null,
    cookies: { get: (name) => readCookie(context.get('cookie'), name) },
    setCookie: (name, text, { maxAgeMs }) =>
      context.append('set-cookie', `${name}=${text}; Max-Age=${Math.floor(maxAgeMs / 1_000)}; ${ATTRIBUTES}`),
    clearCookie: (name) => context.append('set-cookie', `${name}=; Max-Age=0; ${ATTRIBUTES}`),
    setHeader: (name, text) => context.set(name, text),
    signal: controller.signal,
  }
  return {
    value,
    end() {
      unwatch()
      context.res.off('close', abort)
      draining.removeEventListener('abort', abort)
      controller.abort()
    },
  }
}

/** Browsers count http://localhost as secure, so one set of attributes serves everywhere. */
const ATTRIBUTES = 'Path=/; HttpOnly; Secure; SameSite=Strict'

/** The first cookie of the name (RFC 6265 section 5.4 puts the most specific first). */
function readCookie(header: string, name: string): string | undefined {
  for (const part of header.split(';')) {
    const [key, ...value] = part.trim().split('=')
    if (key === name) return value.join('=')
  }
  return undefined
}

/**
 * What the gateway serves itself below a page's prefix (`{prefix}/_wmoc/…`), on surfaces A and B, without asking the
 * device. Whoever gets here may read the page; what more a path asks is its own to check.
 */
import { appError } from '@wmoc/platform/errors'
import { sendProblem } from '#src/user/problem.ts'
import type { ProxyRequest } from '#src/user/proxy.ts'

export interface OwnPath {
  /** Others are answered 405. */
  readonly methods: readonly ('GET' | 'HEAD' | 'POST')[]
  /** `proxied.path` begins with the path and may carry a query. Answers by itself; a rejection is answered as a problem. */
  handle(proxied: ProxyRequest): void | Promise<void>
}

/** By path without the query, `/_wmoc/shim.js` for one. */
export type OwnPaths = ReadonlyMap<string, OwnPath>

/** Answers for the path of `proxied`; rejects with `not_found` where it is nobody's. */
export async function serveOwnPath(paths: OwnPaths, proxied: ProxyRequest): Promise<void> {
  const own = paths.get(proxied.path.split('?', 1)[0]!)
  if (own === undefined) throw appError('not_found')
  const { method } = proxied.request
  if (own.methods.some((one) => one === method)) return own.handle(proxied)
  sendProblem(proxied.response, 'method_not_allowed', {}, ['Allow', own.methods.join(', ')])
}

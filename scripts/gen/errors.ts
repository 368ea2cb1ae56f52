import { ERRORS } from '@wmoc/platform/errors'
import { CONTRACTS } from '../../api/src/modules.ts'
import type { RouteDescription } from '../../api/src/kernel/contract.ts'
import { generated, table } from './markdown.ts'

/** `docs/generated/errors.md`: every stable code, its status, and the routes whose contract names it. */
export function errorReference(): string {
  const rows = Object.entries(ERRORS)
    .toSorted(([a, one], [b, two]) => one.status - two.status || a.localeCompare(b))
    .map(([code, { status, title }]) => [`\`${code}\``, String(status), title, routesNaming(code).join(', ')])
  return generated('Error codes', '`platform/src/errors.ts` and the contracts', [
    'Errors are `application/problem+json` (RFC 9457); `code` is stable, `title` and `detail` are for people.',
    table(['code', 'status', 'meaning', 'named by'], rows),
  ])
}

function routesNaming(code: string): string[] {
  return Object.values(CONTRACTS).flatMap((contract) =>
    Object.entries<RouteDescription>(contract.routes)
      .filter(([, route]) => route.errors?.includes(code))
      .map(([name]) => `${contract.name}.${name}`),
  )
}

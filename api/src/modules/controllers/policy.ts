/** Who may do what with controllers, beyond the roles of `kernel/permissions.ts`. Pure. */
import type { Membership } from '#src/kernel/module.ts'

/** The workspace a new controller goes to: the person's own, else the first where they may claim; null: none. */
export function workspaceForClaim(memberships: readonly Membership[]): Membership | null {
  const own = memberships.find((membership) => membership.role === 'owner')
  return own ?? memberships.find((membership) => membership.role === 'admin') ?? null
}

/**
 * What a device with this MAC may become. `renew`: the workspace's own controller comes back after a factory reset and
 * keeps its history; `taken`: it belongs to somebody else, of whom nothing is told.
 */
export function decideBinding(
  existing: { readonly workspaceId: string } | null,
  workspaceId: string,
): 'new' | 'renew' | 'taken' {
  if (existing === null) return 'new'
  return existing.workspaceId === workspaceId ? 'renew' : 'taken'
}

/** Unused activation tokens a workspace may have at once: each is a row that a stranger's patience could multiply. */
export const MAX_OPEN_TOKENS = 100

export const TOKEN_TTL_MS = 15 * 60_000
export const CODE_TTL_MS = 10 * 60_000
/** Persons who may look at one code before it dies. */
export const MAX_CODE_TRIES = 5
/** Wrong codes per person and per address in an hour: 10 · 1,000 live codes / 20^8 < 2^-20. */
export const MAX_WRONG_CODES = 10
export const WRONG_CODES_WINDOW_MS = 3_600_000
/** Codes alive at once over the whole installation; the bound above rests on it. */
export const MAX_LIVE_CODES = 1_000
/** A declared controller may lie in a box for days before it is wired up. */
export const DECLARED_TOKEN_TTL_MS = 7 * 86_400_000
/** A declared token that lasts for less is replaced. */
export const RENEW_DECLARED_TOKEN_MS = 86_400_000
/** As the portal allows. */
export const MAX_TAGS = 20

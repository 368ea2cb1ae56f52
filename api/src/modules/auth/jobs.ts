import { z } from 'zod'
import type { Kernel } from '#src/kernel/module.ts'
import { rows } from '#src/kernel/rows.ts'
import { Email } from './contract.ts'
import { RESET_JOB } from './service.ts'
import type { AuthService } from './service.ts'
import type { SigningKeys } from './signing-keys.ts'

const DAY_MS = 24 * 60 * 60 * 1_000
/** Ended sessions are kept this long, so that a stolen refresh token is still recognised. */
const KEEP_ENDED_MS = 30 * DAY_MS

/** Registers what the worker does for this module. */
export function registerAuthJobs(
  { jobs, db, clock, log }: Kernel,
  { service, keys }: { service: AuthService; keys: SigningKeys },
): void {
  jobs.handle(RESET_JOB, z.object({ email: Email }), (data) => service.mailPasswordReset(data))
  jobs.schedule('auth.rotate_keys', '17 3 * * *', async () => {
    if (await keys.rotate()) log.info('auth', 'signing keys rotated')
  })
  jobs.schedule('auth.clean_up', '47 * * * *', async () => {
    const before = new Date(clock().getTime() - KEEP_ENDED_MS)
    await rows(db, 'DELETE FROM sessions WHERE expires_at < $before OR revoked_at < $before', { before })
    await rows(db, 'DELETE FROM retired_refresh_tokens WHERE retired_at < $before', { before })
    await rows(db, 'DELETE FROM one_time_tokens WHERE expires_at < $now', { now: clock() })
  })
}

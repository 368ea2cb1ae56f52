/** WebSocket close codes of the tunnel. 4400–4503 mirror the HTTP status that says the same thing. */
export const CLOSE = {
  normal: { code: 1000, reason: 'closed' },
  goingAway: { code: 1001, reason: 'going_away' },
  policy: { code: 1008, reason: 'policy_violation' },
  invalidUtf8: { code: 1007, reason: 'invalid_payload' },
  tooBig: { code: 1009, reason: 'message_too_big' },
  restart: { code: 1012, reason: 'service_restart' },
  tryLater: { code: 1013, reason: 'try_again_later' },
  malformed: { code: 4400, reason: 'malformed' },
  /** Bad credential or token: the device retries slowly. */
  unauthorized: { code: 4401, reason: 'unauthorized' },
  revoked: { code: 4403, reason: 'revoked' },
  registerTimeout: { code: 4408, reason: 'register_timeout' },
  /** A newer epoch of the same controller took over. */
  superseded: { code: 4409, reason: 'superseded' },
  /** Two devices fight over one credential: both refused, the owner told. */
  conflict: { code: 4423, reason: 'credential_conflict' },
  tooFast: { code: 4429, reason: 'too_fast' },
  overCapacity: { code: 4503, reason: 'over_capacity' },
} as const

export type CloseReason = (typeof CLOSE)[keyof typeof CLOSE]

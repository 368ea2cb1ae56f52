/**
 * Every error a caller can meet: a stable code, its HTTP status and title. `docs/generated/errors.md` is made from this
 * table; contracts name the codes their routes may answer with.
 */
export const ERRORS = {
  malformed: { status: 400, title: 'The request could not be understood' },
  validation_failed: { status: 400, title: 'The input is not valid' },
  token_invalid: { status: 400, title: 'The link or token is wrong, used or too old' },
  code_invalid: { status: 400, title: 'The code is wrong, used or too old' },
  range_too_wide: { status: 400, title: 'Too many points for this range and step' },
  unauthenticated: { status: 401, title: 'Sign in first' },
  session_ended: { status: 401, title: 'The session has ended' },
  invalid_credentials: { status: 401, title: 'E-mail or password is wrong' },
  device_sign_in_required: { status: 401, title: 'The device asks for its own user name and password' },
  forbidden: { status: 403, title: 'Your role does not allow this' },
  csrf_rejected: { status: 403, title: 'The request came from another site' },
  registration_closed: { status: 403, title: 'Registration is closed' },
  tier_limit_reached: { status: 403, title: 'The limit of your plan is reached' },
  not_found: { status: 404, title: 'Not found' },
  method_not_allowed: { status: 405, title: 'The method is not allowed here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  conflict: { status: 409, title: 'This conflicts with the present state' },
  mac_taken: { status: 409, title: 'The device cannot be claimed' },
  command_already_sent: { status: 409, title: 'The command has been sent already' },
  version_conflict: { status: 412, title: 'Somebody else changed it meanwhile' },
  payload_too_large: { status: 413, title: 'The body is too large' },
  uri_too_long: { status: 414, title: 'The address is too long' },
  unsupported_media_type: { status: 415, title: 'This content type is not accepted' },
  misdirected: { status: 421, title: 'This host is not served here' },
  idempotency_mismatch: { status: 422, title: 'The idempotency key was used with another request' },
  upgrade_required: { status: 426, title: 'A WebSocket upgrade is required' },
  rate_limited: { status: 429, title: 'Too many requests' },
  too_many_queued: { status: 429, title: 'Too many commands are waiting' },
  headers_too_large: { status: 431, title: 'The request header is too large' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
  not_implemented: { status: 501, title: 'Not supported' },
  bad_device_response: { status: 502, title: 'The device answered with something that is not HTTP' },
  device_disconnected: { status: 502, title: 'The device disconnected before it answered' },
  bad_gateway: { status: 502, title: 'A part of the platform is away' },
  device_offline: { status: 503, title: 'The device is offline' },
  busy: { status: 503, title: 'Too busy right now' },
  draining: { status: 503, title: 'This instance is shutting down' },
  overloaded: { status: 503, title: 'Overloaded' },
  dependency_unavailable: { status: 503, title: 'A service that this needs is away' },
  device_timeout: { status: 504, title: 'The device did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof ERRORS

/** One thing wrong with the input. `path` is dotted: `body.tags.0`. */
export interface FieldError {
  readonly path: string
  readonly code: string
  readonly message: string
}

export interface ErrorDetails {
  /** For people; says what to do. Never carries a secret or another tenant's data. */
  readonly detail?: string | undefined
  readonly fields?: readonly FieldError[] | undefined
  /** Becomes `Retry-After`. */
  readonly retryAfterMs?: number | undefined
  readonly cause?: unknown
}

/** An expected failure. Anything else that is thrown is a bug and becomes `internal_error`. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly detail: string | undefined
  readonly fields: readonly FieldError[] | undefined
  readonly retryAfterMs: number | undefined

  constructor(code: ErrorCode, details: ErrorDetails = {}) {
    super(
      details.detail ?? ERRORS[code].title,
      details.cause === undefined ? undefined : { cause: details.cause },
    )
    this.name = 'AppError'
    this.code = code
    this.status = ERRORS[code].status
    this.detail = details.detail
    this.fields = details.fields
    this.retryAfterMs = details.retryAfterMs
  }
}

/** Makes an expected failure with a stable code. */
export function appError(code: ErrorCode, details: ErrorDetails = {}): AppError {
  return new AppError(code, details)
}

export interface ProblemResponse {
  readonly status: number
  readonly body: {
    readonly type: string
    readonly title: string
    readonly status: number
    readonly code: ErrorCode
    readonly detail?: string
    readonly requestId?: string
    readonly fields?: readonly FieldError[]
  }
  readonly headers: Readonly<Record<string, string>>
}

/** The answer for an error as problem+json (RFC 9457). Of an unexpected error nothing but the request id leaves. */
export function toProblem(error: unknown, requestId?: string): ProblemResponse {
  const known = error instanceof AppError ? error : new AppError('internal_error')
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json; charset=utf-8',
    'cache-control': 'no-store',
  }
  if (known.retryAfterMs !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(known.retryAfterMs / 1000)))
  }
  return {
    status: known.status,
    headers,
    body: {
      type: `urn:wmoc:error:${known.code}`,
      title: ERRORS[known.code].title,
      status: known.status,
      code: known.code,
      ...(known.detail === undefined ? {} : { detail: known.detail }),
      ...(requestId === undefined ? {} : { requestId }),
      ...(known.fields === undefined ? {} : { fields: known.fields }),
    },
  }
}

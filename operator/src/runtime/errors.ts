/** Errors of the API server, by the `reason` that it gives in its Status object, and of the way to it. */

/** What the API server refused, or that it could not be reached (`status` 0, reason `Unreachable`). */
export class KubeError extends Error {
  override readonly name = 'KubeError'
  /** HTTP status; 0 where there was no answer. */
  readonly status: number
  /** `NotFound`, `Conflict`, `AlreadyExists`, `Invalid`, `Forbidden`, `Expired`, `TooManyRequests`, `Unreachable`, … */
  readonly reason: string
  /** How long the server asks to wait. */
  readonly retryAfterMs: number | undefined

  constructor(
    status: number,
    reason: string,
    message: string,
    options: { retryAfterMs?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.status = status
    this.reason = reason
    this.retryAfterMs = options.retryAfterMs
  }
}

/** Whether an error is the server's refusal for this reason. */
export function isKubeError(error: unknown, ...reasons: readonly string[]): error is KubeError {
  return error instanceof KubeError && (reasons.length === 0 || reasons.includes(error.reason))
}

/** Says why there is no way to a cluster, and what to do. */
export class KubeconfigError extends Error {
  override readonly name = 'KubeconfigError'
}

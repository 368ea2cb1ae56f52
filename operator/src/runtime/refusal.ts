/** From an answer of the API server that is no success to an error. */
import { KubeError } from './errors.ts'

/** The server's Status object as an error; proxies in between answer with other bodies. */
export function refusal(status: number, body: string, retryAfter?: string | string[]): KubeError {
  const { reason = REASONS[status] ?? 'Unknown', message } = statusOf(body)
  const seconds = Number(Array.isArray(retryAfter) ? retryAfter[0] : retryAfter)
  return new KubeError(
    status,
    reason === 'Gone' ? 'Expired' : reason,
    message ?? `HTTP ${status}: ${body.slice(0, 200)}`,
    Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {},
  )
}

const REASONS: Readonly<Record<number, string>> = {
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'NotFound',
  409: 'Conflict',
  410: 'Expired',
  429: 'TooManyRequests',
  503: 'ServiceUnavailable',
}

function statusOf(body: string): { reason?: string; message?: string } {
  try {
    const status = JSON.parse(body) as { kind?: unknown; reason?: unknown; message?: unknown }
    if (status.kind !== 'Status') return {}
    return {
      ...(typeof status.reason === 'string' && status.reason !== '' ? { reason: status.reason } : {}),
      ...(typeof status.message === 'string' ? { message: status.message } : {}),
    }
  } catch {
    return {}
  }
}

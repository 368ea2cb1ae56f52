/** Takes secrets out of what goes into a report. */

const SECRET_NAME =
  /pass(word)?|secret|token|authorization|cookie|private|pepper|api[-_]?key|_key$|credential|_url$/i
/** The value of such names is the name of a secret, not one. */
const NAMES_ONE = /(secret|token|key|credential)s?(Name|Ref|KeyRef)$|^secretName$|imagePullSecrets|automount/i
const REDACTED = '[redacted]'

/** A copy without managed fields, and with values of telling names, credentials in URLs and bearer tokens replaced. */
export function redact(value: unknown): unknown {
  if (typeof value === 'string') return redactText(value)
  if (Array.isArray(value)) return value.map(redact)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(
    ([key]) => key !== 'managedFields' && !key.endsWith('last-applied-configuration'),
  )
  // `{name: 'INTERNAL_TOKEN', value: '…'}` of a container's environment.
  const name: unknown = (value as { name?: unknown }).name
  const isSecretVariable = typeof name === 'string' && SECRET_NAME.test(name)
  return Object.fromEntries(
    entries.map(([key, inner]) => {
      if (key === 'value' && isSecretVariable && typeof inner === 'string') return [key, REDACTED]
      if (typeof inner === 'string' && SECRET_NAME.test(key) && !NAMES_ONE.test(key)) return [key, REDACTED]
      return [key, redact(inner)]
    }),
  )
}

/** Credentials in a line of a log. */
export function redactText(text: string): string {
  return text
    .replaceAll(/:\/\/[^\s/@]*@/g, `://${REDACTED}@`)
    .replaceAll(/\b(?:Bearer|bearer|Basic|basic) [^\s"',]+/g, REDACTED)
    .replaceAll(/\beyJ[\w.-]+/g, REDACTED)
}

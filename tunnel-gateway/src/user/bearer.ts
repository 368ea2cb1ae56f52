/** The token of `Authorization: Bearer …`, found again by its connection: looking it up anew means to hash all of it. */
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

const LATEST = Symbol('latest bearer')

interface Remembering extends Socket {
  [LATEST]?: { readonly header: string; readonly token: string }
}

/** The form that almost everybody sends; others are read by who verifies them. */
const PLAIN = 'Bearer '

/** The token of a header in the plain form; null: it has another. A connection mostly sends the same one again. */
export function plainToken({ socket, headers }: IncomingMessage): string | null {
  const remembering: Remembering = socket
  const header = headers.authorization
  if (header?.startsWith(PLAIN) !== true) return null
  const latest = remembering[LATEST]
  if (latest?.header === header) return latest.token
  const token = header.slice(PLAIN.length)
  remembering[LATEST] = { header, token }
  return token
}

/** What was scanned, typed or put behind `/activate#`. Pure. */
import { UserCode } from '@wmoc/api/contracts/controllers'

export type ActivationInput = { kind: 'code'; code: string } | { kind: 'token'; token: string }

const TOKEN = /^[\w-]{20,200}$/

/** Takes a code, a whole address with a fragment, or a fragment; null where nothing of ours is in it. */
export function parseActivation(text: string): ActivationInput | null {
  const hashAt = text.indexOf('#')
  const rest = decode(hashAt === -1 ? text : text.slice(hashAt + 1))
  if (rest.startsWith('token=')) {
    const token = rest.slice('token='.length)
    return TOKEN.test(token) ? { kind: 'token', token } : null
  }
  const code = UserCode.safeParse(rest.replace(/^code=/, ''))
  return code.success ? { kind: 'code', code: code.data } : null
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** As it stands on the device: `BCDF-GHJK`. Keeps what is not a code yet as it is, in capitals. */
export function formatCode(code: string): string {
  const letters = code
    .toUpperCase()
    .replaceAll(/[^A-Z]/g, '')
    .slice(0, 8)
  return letters.length > 4 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : letters
}

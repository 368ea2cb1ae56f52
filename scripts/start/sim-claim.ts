/** What a simulated controller shows while nobody has claimed it, read from its log. */
import { z } from 'zod'

/** Null once it is somebody's. */
export type Claim = { readonly code: string; readonly link: string } | null

const SimEvent = z.looseObject({
  event: z.string(),
  link: z.string().optional(),
  code: z.string().optional(),
})

/**
 * Takes the simulator's JSON lines. `onFirst` hears what it shows at first, `onLater` each change of that: a code lasts
 * for minutes only, and then somebody may have claimed it.
 */
export function readClaims(
  onFirst: (claim: Claim) => void,
  onLater: (claim: Claim) => void,
): (line: string) => void {
  let code: string | undefined
  let shown: Claim | undefined
  const tell = (claim: Claim) => {
    const before = shown
    shown = claim
    if (before === undefined) onFirst(claim)
    else if (before?.code !== claim?.code) onLater(claim)
  }
  return (line) => {
    const event = parseEvent(line)
    code = event?.code ?? code
    if (event?.event === 'registered') tell(null)
    else if (event?.link !== undefined && code !== undefined) tell({ code, link: event.link })
  }
}

function parseEvent(line: string): z.infer<typeof SimEvent> | null {
  try {
    return SimEvent.parse(JSON.parse(line))
  } catch {
    return null
  }
}

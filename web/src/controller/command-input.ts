/** What a person types as parameters of a command. Pure. */
import { commands } from '@wmoc/api/contracts/commands'
import { z } from 'zod'

/** Above this the server refuses. */
const MAX_BYTES = 8_192

/** The contract's body with the parameters still as text; nothing typed means no parameters. */
export const CommandInput = commands.routes.send.body
  .omit({ params: true })
  .extend({ params: z.string().transform((text, context) => parseParams(text, context)) })

/** What a person has typed, as the server takes it. */
export type CommandBody = z.output<typeof CommandInput>

function parseParams(text: string, context: z.RefinementCtx) {
  if (text.trim() === '') return {}
  if (new TextEncoder().encode(text).length > MAX_BYTES) {
    context.addIssue({ code: 'custom', message: 'too long' })
    return z.NEVER
  }
  try {
    return z.json().parse(JSON.parse(text))
  } catch {
    context.addIssue({ code: 'custom', message: 'not JSON' })
    return z.NEVER
  }
}

/** How long a command waits for a controller that is away; seconds. */
export const LIFETIMES = [60, 3_600, 86_400, 604_800] as const

/** What the smoke test wants to know, as environment variables. */
import { z } from 'zod'

export const Environment = z.object({
  /** The API's public listener inside of the cluster. */
  API_URL: z.url({ protocol: /^http$/ }).transform((text) => new URL(text)),
  /** `name:port,…` */
  SHARDS: z.string().min(1),
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).transform((text) => new URL(text).host),
  /** What `create-first-user` printed. */
  SIGN_IN_FILE: z.string().min(1),
  /** How long each step may take. */
  PATIENCE_MS: z.coerce.number().int().min(1).default(30_000),
})

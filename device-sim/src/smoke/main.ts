/** The check that `helm test` runs: see `smoke.ts`, and `environment.ts` for what it wants to know. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { Environment } from './environment.ts'
import { runSmoke } from './smoke.ts'

const SignInLink = z.object({ url: z.url() })

const environment = Environment.safeParse(process.env)
if (!environment.success) {
  process.stderr.write(`${z.prettifyError(environment.error)}\n`)
  process.exit(2)
}
const { API_URL, SHARDS, PUBLIC_URL, SIGN_IN_FILE, PATIENCE_MS } = environment.data
try {
  const ways = await runSmoke({
    api: API_URL,
    shards: SHARDS,
    publicHost: PUBLIC_URL,
    signInLink: SignInLink.parse(JSON.parse(readFileSync(SIGN_IN_FILE, 'utf8'))).url,
    patienceMs: PATIENCE_MS,
    say: (line) => process.stdout.write(`${line}\n`),
  })
  process.stdout.write(`passed through ${ways} shard${ways === 1 ? '' : 's'}\n`)
} catch (error) {
  process.stderr.write(`failed: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}

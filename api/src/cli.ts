/**
 * Commands of an operator. Results are JSON on standard output.
 *
 *   node api/src/cli.ts create-first-user --email E [--name N] [--locale en|ru] [--tier free|basic|premium]
 *   node api/src/cli.ts audit verify
 *   node api/src/cli.ts rotate-keys
 */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { compose } from './compose.ts'
import type { Composition } from './compose.ts'
import { verifyAuditLog } from './kernel/audit.ts'
import { Locale } from './kernel/schemas.ts'
import { Email, Tier } from './modules/auth/contract.ts'
import { openTool } from './open-tool.ts'

const USAGE =
  'usage: cli.ts create-first-user --email E [--name N] [--locale L] [--tier T] | audit verify | rotate-keys\n'

const Person = z.object({
  email: Email,
  name: z.string().trim().max(100).default(''),
  locale: Locale.default('en'),
  tier: Tier.default('free'),
})

type Command = (composition: Composition, options: unknown) => Promise<object>

const COMMANDS: Readonly<Record<string, Command>> = {
  'create-first-user': async ({ modules }, options) => {
    const person = Person.parse(options)
    return { email: person.email, ...(await modules.auth.service.createSignInLink(person)) }
  },
  'audit verify': async ({ kernel }) => {
    const result = await verifyAuditLog(kernel.db)
    if (result.brokenAt !== null) process.exitCode = 1
    return result
  },
  'rotate-keys': async ({ modules }) => ({ rotated: await modules.auth.keys.rotate(true) }),
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  strict: true,
  options: {
    email: { type: 'string' },
    name: { type: 'string' },
    locale: { type: 'string' },
    tier: { type: 'string' },
    help: { type: 'boolean' },
  },
})
const command = COMMANDS[positionals.join(' ')]
if (!command) {
  process.stderr.write(USAGE)
  process.exit(values.help === true ? 0 : 2)
}
const { config, log } = openTool('cli')
const composition = compose(config, { log })
try {
  process.stdout.write(`${JSON.stringify(await command(composition, values))}\n`)
} catch (error) {
  if (!(error instanceof z.ZodError)) throw error
  process.stderr.write(`${z.prettifyError(error)}\n`)
  process.exitCode = 2
} finally {
  await composition.kernel.db.close()
  await composition.kernel.store.close()
}

/**
 * A process of its own: brings the schema up to date and says `migrated`; then, when an e-mail is given, makes the
 * first user and prints a one-time sign-in link and, for `--controller`, the token that a device becomes theirs by. One
 * process for all, because loading the API costs more than any of it.
 *
 *   node scripts/start/prepare-database.ts [--email E --name N [--controller NAME]]
 */
import { parseArgs } from 'node:util'
import { compose } from '../../api/src/compose.ts'
import { createDatabase } from '../../api/src/kernel/db.ts'
import { installJobs } from '../../api/src/kernel/jobs.ts'
import { createMigrator } from '../../api/src/kernel/migrations.ts'
import { openTool } from '../../api/src/open-tool.ts'
import type { FirstUser } from './stack.ts'

const { config, log } = openTool('prepare-database')
const text = { type: 'string', default: '' } as const
const { values } = parseArgs({ options: { email: text, name: text, controller: text } })
const db = createDatabase({ url: config.DATABASE_URL, poolMax: 3, log, statementTimeoutMs: 0 })
try {
  await createMigrator(db, log).up()
  await installJobs(config.DATABASE_URL)
} finally {
  await db.close()
}
console.log('migrated')
if (values.email) console.log(JSON.stringify(await makeFirstUser(values)))

async function makeFirstUser({ email, name, controller }: typeof values): Promise<FirstUser> {
  const { kernel, modules } = compose(config, { log })
  try {
    const person = { email, name, locale: 'en', tier: 'premium' } as const
    const { userId, url } = await modules.auth.service.createSignInLink(person)
    if (!controller) return { signInLink: url, activationToken: null }
    const remoteAddress = '127.0.0.1'
    const { token } = await modules.controllers.tokens.createToken({
      userId,
      name: controller,
      remoteAddress,
    })
    return { signInLink: url, activationToken: token }
  } finally {
    await kernel.db.close()
    await kernel.store.close()
  }
}

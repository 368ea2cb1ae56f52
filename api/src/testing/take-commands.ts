/**
 * A gateway's part in the delivery of commands, as a process of its own that tests can kill: takes what is queued for
 * one controller, prints `deliver <id>` for each command before its result is recorded, and `idle` when all is done.
 * Arguments: database URL, Redis URL, controller id.
 */
import { createDatabase } from '#src/kernel/db.ts'
import { withControllers } from './controllers.ts'
import { openKernelOn } from './plain-kernel.ts'
import { quietLog } from './plain-rows.ts'

const [databaseUrl = '', redisUrl = '', controllerId = ''] = process.argv.slice(2)
const db = createDatabase({ url: databaseUrl, poolMax: 4, log: quietLog })
const { commands } = await withControllers(openKernelOn({ db, databaseUrl, redisUrl }))

for (;;) {
  const { commands: taken } = await commands.service.take({ controllerIds: [controllerId] })
  if (taken.length === 0) process.stdout.write('idle\n')
  for (const { id } of taken) process.stdout.write(`deliver ${id}\n`)
  for (let from = 0; from < taken.length; from += 7) {
    const results = taken
      .slice(from, from + 7)
      .map(({ id }) => ({ controllerId, id, ok: true, result: { did: id } }))
    await commands.service.results({ results })
  }
}

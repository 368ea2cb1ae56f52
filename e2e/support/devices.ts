/**
 * Controllers in a process of their own, so that it can be killed: each keeps its state in a file, and appends a line to
 * another file whenever it executes the command `count`. Arguments: tunnel address, folder, activation tokens.
 */
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { createFileStore } from '@wmoc/device-sim/device/store'
import { createSimulator } from '@wmoc/device-sim/simulator'

const [url, folder, ...tokens] = z.array(z.string()).min(3).parse(process.argv.slice(2))
const Params = z.object({ n: z.int() })

tokens.forEach((token, index) => {
  const device = createSimulator({
    url: url!,
    token,
    store: createFileStore(join(folder!, `device-${index}`)),
    reportEveryMs: 0,
    commands: {
      count: (params) => {
        appendFileSync(join(folder!, 'executed'), `${Params.parse(params).n}\n`)
        return { ok: true }
      },
    },
  })
  device.events.on('registered', () => process.stdout.write(`online ${index} ${device.controllerId}\n`))
  device.start()
})

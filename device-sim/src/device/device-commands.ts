/** What a simulated controller can be told to do. */
import { z } from 'zod'
import type { PageModel } from '../page/model.ts'
import type { CommandHandler } from './commands.ts'

/** The commands by name; `page` null leaves out what needs the own page. */
export function deviceCommands(options: {
  page: PageModel | null
  log: (sentence: string) => void
  reboot: () => void
}): Record<string, CommandHandler> {
  const { page, log } = options
  const always: Record<string, CommandHandler> = {
    echo: (params) => ({ ok: true, result: z.json().parse(params ?? null) }),
    fail: () => ({ ok: false, error: 'asked to fail' }),
    identify: () => {
      log('the light blinks')
      return { ok: true, result: { blinks: 3 } }
    },
    reboot: () => {
      options.reboot()
      return { ok: true, result: { rebooting: true } }
    },
  }
  if (!page) return always
  return {
    ...always,
    'switch.set': (params) => {
      const wish = z.object({ on: z.boolean() }).safeParse(params)
      if (!wish.success) return { ok: false, error: 'expected {"on": true|false}' }
      page.isOn = wish.data.on
      log(`heater turned ${page.isOn ? 'on' : 'off'} by a command`)
      return { ok: true, result: { on: page.isOn } }
    },
  }
}

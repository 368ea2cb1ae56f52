/** The command line of the kit: text in, checked options out. */
import { parseArgs } from 'node:util'
import { z } from 'zod'

export const HELP = `Holds a device, or a gateway, to the tunnel protocol.

  npm run conformance -- --target device [options]     the kit is the gateway: point the device at it
    --listen HOST:PORT   where the device shall connect (default 127.0.0.1:9000); path /tunnel
    --dialect v1|v2      the dialect to offer (default v2)
    --patience SEC       how long the device may take to come back (default 60)

  npm run conformance -- --target gateway [options]    the kit is the device, and the person who visits it
    --url URL            of the platform, http://host:port
    --token TOKEN        activation token of a controller made for this (portal: add a controller); or
    --credentials ID:SECRET   of one that is activated already
    --bearer TOKEN       access token of its owner, for its requests
    --dialect v1|v2      what the kit's device speaks (default v2)

  npm run conformance -- --serve PORT   only the conformance page, to stand behind an agent

    --only IDS           these cases, between commas; "range-*" is all that begin so
    --list               the cases, and what they need
    --json FILE          the results for machines
    --help               this text

Exit code: 0 all that applied passed, 1 a case failed, 2 it could not be run.
`

const address = z
  .string()
  .regex(/^[^\s/]+:\d{1,5}$/, 'must be HOST:PORT')
  .transform((text) => ({
    host: text.slice(0, text.lastIndexOf(':')),
    port: Number(text.slice(text.lastIndexOf(':') + 1)),
  }))

const Options = z
  .strictObject({
    target: z.enum(['device', 'gateway']).optional(),
    listen: address.default({ host: '127.0.0.1', port: 9_000 }),
    dialect: z.enum(['v1', 'v2']).default('v2'),
    patience: z.coerce.number().min(1).max(600).default(60),
    url: z.url({ protocol: /^http$/ }).optional(),
    token: z.string().min(1).max(256).optional(),
    credentials: z
      .string()
      .regex(/^[0-9a-f-]{36}:.{16,256}$/, 'must be ID:SECRET')
      .transform((text) => ({ controller_id: text.slice(0, 36), secret: text.slice(37) }))
      .optional(),
    bearer: z.string().min(1).optional(),
    serve: z.coerce.number().int().min(0).max(65_535).optional(),
    only: z
      .string()
      .transform((text) => text.split(',').filter((id) => id !== ''))
      .default([]),
    list: z.boolean().default(false),
    json: z.string().min(1).optional(),
  })
  .refine(
    ({ target, list, serve }) => target || list || serve !== undefined,
    'say --target device or --target gateway',
  )
  .refine(({ target, url }) => target !== 'gateway' || url, '--target gateway needs --url')
  .refine(
    ({ target, token, credentials }) => target !== 'gateway' || token || credentials,
    '--target gateway needs --token or --credentials',
  )
  .refine(({ target, bearer }) => target !== 'gateway' || bearer, '--target gateway needs --bearer')
export type Options = z.infer<typeof Options>

const FLAGS = new Set(['list', 'help'])

/** Arguments without the program's name. A string says what is wrong with them; null: help is wanted. */
export function parseOptions(args: readonly string[]): Options | string | null {
  const names = [...Object.keys(Options.shape), 'help']
  const types = Object.fromEntries(
    names.map((name) => [name, { type: FLAGS.has(name) ? ('boolean' as const) : ('string' as const) }]),
  )
  let values: Record<string, unknown>
  try {
    values = { ...parseArgs({ args: [...args], options: types, strict: true }).values }
  } catch (error) {
    return error instanceof Error ? error.message : 'bad arguments'
  }
  const { help, ...rest } = values
  if (help) return null
  const parsed = Options.safeParse(rest)
  if (parsed.success) return parsed.data
  return parsed.error.issues
    .map(({ path, message }) => (path.length > 0 ? `--${String(path[0])}: ${message}` : message))
    .join('\n')
}

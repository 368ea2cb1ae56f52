/** The command line of the simulator: text in, checked options out. */
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { DEVICE_FEATURES, V1_LIMITS } from '@wmoc/protocol/messages'
import { CORPUS_NAMES } from '../corpus/index.ts'
import { FAULT_MEANINGS, FAULTS } from '../device/faults.ts'
import { PROFILES, type ProfileName } from '../device/profile.ts'
import { PROTOCOLS, type ProtocolName } from '../device/tunnel.ts'

const faultLines = FAULTS.map((fault) => `                       ${fault}: ${FAULT_MEANINGS[fault]}`).join(
  '\n',
)

export const HELP = `A simulated controller, a fleet of them, or an agent in front of a real HTTP device.

  npm run sim -- [options]

  --url URL            tunnel of the platform (default ws://localhost:8080/tunnel)
  --protocol NAME      v1, v2, or auto: offers both and speaks what the gateway chooses (default auto)
  --profile NAME       what it can hold and do: device (default; agent with --upstream), esp32, agent
  --features LIST      instead of the profile's: ${DEVICE_FEATURES.join(', ')}, comma-separated, or none
  --token TOKEN        activation token from the portal; without it the device shows a code to claim it by
  --code               show a code even when a token is given by mistake (the default without --token)
  --state FILE         keep credentials and done commands here (mode 0600); without it they end with the process
  --upstream URL       answer with the real web server at http://host:port instead of the own page; WebSockets and
                       server-sent events pass through
  --allow-port PORT    with --upstream: people may reach this port of that host too; may be given several times
  --ports LIST         without --upstream: serve a second page and a WebSocket at these ports, comma-separated
  --page NAME          serve a page as a well-known firmware makes it, instead of the own one: ${CORPUS_NAMES.join(', ')}
  --mac MAC            hardware address to report (default: made up once)
  --model NAME         model to report
  --firmware VERSION   firmware version to report
  --report SEC         time between metrics, 0 for none (default 5; in a fleet 60)
  --qr                 draw the QR code even when the output is no terminal
  --json               one JSON line per event instead of text

  --fleet N            N controllers in this process
  --credentials FILE   JSON lines {"token"} or {"controller_id","secret"}, one per controller; new ones are kept here
  --ramp N             controllers that connect per second (default 50)
  --churn N            controllers cut off per second, they come back by themselves (default 0)
  --connects N         connections opened per second at most, reconnects too (default 0: as they want)
  --faults LIST        of each controller, comma-separated:
${faultLines}
  --duration SEC       stop after this time

  --help               this text

Ctrl-C closes every tunnel cleanly.
`

const ports = z.array(z.coerce.number<string>().int().min(1).max(65_535)).max(V1_LIMITS.maxPagePorts)
const seconds = z.coerce.number().min(0).max(86_400)

const protocols = Object.keys(PROTOCOLS) as ProtocolName[]
const profiles = Object.keys(PROFILES) as ProfileName[]

/** Names between commas; the empty list has a name of its own. */
function listOf<Name extends string>(names: readonly Name[], nothing?: string) {
  return z
    .string()
    .transform((list) => (list === nothing ? [] : list.split(',')))
    .pipe(z.array(z.enum(names)))
}

const Options = z
  .strictObject({
    url: z
      .url({ protocol: /^wss?$/, error: 'must begin with ws:// or wss://' })
      .default('ws://localhost:8080/tunnel'),
    protocol: z.enum(protocols).default('auto'),
    profile: z.enum(profiles).optional(),
    features: listOf(DEVICE_FEATURES, 'none').optional(),
    token: z.string().min(1).max(256).optional(),
    code: z.boolean().default(false),
    state: z.string().min(1).optional(),
    upstream: z.url({ protocol: /^http$/, error: 'must begin with http://' }).optional(),
    'allow-port': ports.default([]),
    ports: z
      .string()
      .transform((list) => list.split(','))
      .pipe(ports)
      .optional(),
    page: z.enum(CORPUS_NAMES).optional(),
    mac: z
      .string()
      .regex(/^[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5}$/, 'must look like AA:BB:CC:DD:EE:FF')
      .optional(),
    model: z.string().min(1).max(100).optional(),
    firmware: z.string().min(1).max(50).optional(),
    report: seconds.optional(),
    qr: z.boolean().default(false),
    json: z.boolean().default(false),
    fleet: z.coerce.number().int().min(1).max(100_000).optional(),
    credentials: z.string().min(1).optional(),
    ramp: z.coerce.number().min(0.1).max(10_000).default(50),
    churn: z.coerce.number().min(0).max(10_000).default(0),
    connects: z.coerce.number().min(0).max(100_000).default(0),
    faults: listOf(FAULTS).default([]),
    duration: seconds.optional(),
  })
  .refine(
    ({ page, upstream, fleet }) => !page || (!upstream && !fleet),
    '--page is for one controller without --upstream',
  )
  .refine(
    (options) => options['allow-port'].length === 0 || options.upstream,
    '--allow-port goes with --upstream: it says what else of that host may be reached',
  )
  .refine(
    (options) => !options.ports || (!options.upstream && !options.page),
    '--ports is for the own page; with --upstream it is --allow-port',
  )
  .refine(({ credentials, fleet }) => !credentials || fleet, '--credentials goes with --fleet')
  .refine(({ faults, fleet }) => !faults.includes('duplicate') || fleet, 'duplicate goes with --fleet')
  .refine(
    ({ state, token, fleet }) => !fleet || (!state && !token),
    '--state and --token are for one controller',
  )
export type Options = z.infer<typeof Options>

const FLAGS = new Set(['code', 'qr', 'json', 'help'])
/** May be given several times. */
const LISTS = new Set(['allow-port'])
const NAMES = [...Object.keys(Options.shape), 'help']

export type ParsedOptions =
  | { kind: 'run'; options: Options }
  | { kind: 'help' }
  | { kind: 'error'; message: string }

/** Arguments without the program's name. */
export function parseOptions(args: readonly string[]): ParsedOptions {
  const definitions = Object.fromEntries(
    NAMES.map((name) => [
      name,
      { type: FLAGS.has(name) ? ('boolean' as const) : ('string' as const), multiple: LISTS.has(name) },
    ]),
  )
  let values: Record<string, unknown>
  try {
    values = { ...parseArgs({ args: [...args], options: definitions, strict: true }).values }
  } catch (error) {
    return { kind: 'error', message: error instanceof Error ? error.message : 'bad arguments' }
  }
  const { help, ...rest } = values
  if (help) return { kind: 'help' }
  const parsed = Options.safeParse(rest)
  if (parsed.success) return { kind: 'run', options: parsed.data }
  const problems = parsed.error.issues.map(({ path, message }) =>
    path.length > 0 ? `--${String(path[0])}: ${message}` : message,
  )
  return { kind: 'error', message: problems.join('\n') }
}

/** The command line of `npm start`. */
import { parseArgs } from 'node:util'

export const HELP = `The whole platform on this machine, for trying it and for developing it.

  npm start -- [options]

  --port N     public port on the loopback interface (default 8080)
  --host NAME  one host name for everything, as without a wildcard in DNS: controllers' pages open inside the portal.
               A proxy of yours ends TLS for https://NAME and passes all of it on to the port; "localhost" needs none
  --reset      forget everything earlier starts left (database, keys, simulated controllers) and begin anew
  --no-sims    without simulated controllers
  --shards N   N gateways beside each other (1 to 9), with twelve more simulated controllers on them; when one is killed,
               the others take over
  --help       this text

Environment:
  WMOC_STATE_DIR   where data and keys are kept (default ./.wmoc)
  DATABASE_URL     use this PostgreSQL instead of the embedded one
  REDIS_URL        use this Redis instead of one of our own
  DEVICE_DOMAIN    empty: as --host localhost
  SMTP_URL         send mail by this server instead of showing it in the portal
`

export interface StartOptions {
  readonly port: number
  /** Lower case, maybe with a port; null: every controller has an origin of its own below localhost. */
  readonly host: string | null
  readonly isReset: boolean
  readonly hasSims: boolean
  /** Gateways. */
  readonly shards: number
}

/** A name, not an address: cookies and certificates are for names. */
const HOST = /^(?=.{1,253}(?::|$))(?!\d+(?:\.\d+)*(?::|$))[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9]\d{0,4})?$/

/** Checked options; a text for the person instead where there is something to say and nothing to start. */
export function parseOptions(args: readonly string[]): StartOptions | { text: string; exitCode: number } {
  const options = {
    port: { type: 'string', default: '8080' },
    host: { type: 'string' },
    reset: { type: 'boolean', default: false },
    'no-sims': { type: 'boolean', default: false },
    shards: { type: 'string', default: '1' },
    help: { type: 'boolean', short: 'h', default: false },
  } as const
  try {
    const { values } = parseArgs({ args: [...args], options, strict: true })
    if (values.help) return { text: HELP, exitCode: 0 }
    const port = Number(values.port)
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      return { text: `--port ${values.port}: not a port number\n`, exitCode: 2 }
    }
    const shards = Number(values.shards)
    if (!Number.isInteger(shards) || shards < 1 || shards > 9) {
      return { text: `--shards ${values.shards}: not a number from 1 to 9\n`, exitCode: 2 }
    }
    const host = values.host?.toLowerCase() ?? null
    if (host !== null && !HOST.test(host)) {
      return { text: `--host ${values.host}: not a host name\n`, exitCode: 2 }
    }
    return { port, host, isReset: values.reset, hasSims: !values['no-sims'], shards }
  } catch (error) {
    return { text: `${error instanceof Error ? error.message : 'bad arguments'}\n${HELP}`, exitCode: 2 }
  }
}

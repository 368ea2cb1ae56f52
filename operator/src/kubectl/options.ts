/** The command line of `kubectl wmoc`. */
import { parseArgs } from 'node:util'

export const HELP = `kubectl wmoc: looks at tunnel gateways and works on them

Usage:
  kubectl wmoc status                  gateways, and what is wrong with them
  kubectl wmoc shards                  each shard: what it holds, by its own word
  kubectl wmoc drain POD [--wait]      empties a shard; it stays empty until it is taken back
  kubectl wmoc undrain POD             takes it back
  kubectl wmoc where CONTROLLER        which shard holds a controller's tunnel
  kubectl wmoc tail CONTROLLER         what the shards log about it, until Ctrl-C
  kubectl wmoc rollout pause           holds a rollout where it is
  kubectl wmoc rollout resume          lets it go on
  kubectl wmoc rollout abort           ends a rollout and puts its shards back
  kubectl wmoc rollout undo            goes back to what was rolled out before
  kubectl wmoc rollout restart         replaces every shard by a new one of the same kind
  kubectl wmoc report [-f FILE]        everything that helps to find a fault, without secrets, as a tar.gz

CONTROLLER is an id (UUID), a MAC, or the name of an object of kind Controller.

Options:
  -g, --gateway NAME     which TunnelGateway, where the namespace has several
  -n, --namespace NAME   namespace; that of the context unless given
  -A, --all-namespaces   status and shards of all namespaces
  -o, --output FORMAT    table (default) or json
  -f, --file FILE        where the report goes; "-": standard output
      --since TIME       tail and report: how far back the logs go, like 10m (default 5m, 1h)
      --no-follow        tail: ends where the log ends
      --wait             drain: ends when the shard is empty
      --timeout TIME     longest wait of --wait (default 15m)
      --context NAME     another context of the kubeconfig
      --kubeconfig FILE  another kubeconfig
  -h, --help             this text
`

/** What is wrong with the command line, or with what it asks for; the message is all that people get to see. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

const OPTIONS = {
  'all-namespaces': { type: 'boolean', short: 'A', default: false },
  context: { type: 'string' },
  file: { type: 'string', short: 'f' },
  gateway: { type: 'string', short: 'g' },
  help: { type: 'boolean', short: 'h', default: false },
  kubeconfig: { type: 'string' },
  namespace: { type: 'string', short: 'n' },
  'no-follow': { type: 'boolean', default: false },
  output: { type: 'string', short: 'o', default: 'table' },
  since: { type: 'string' },
  timeout: { type: 'string', default: '15m' },
  wait: { type: 'boolean', default: false },
} as const

export interface Options {
  readonly command: string
  readonly args: readonly string[]
  readonly isHelp: boolean
  readonly isJson: boolean
  readonly areAllNamespaces: boolean
  readonly namespace: string | undefined
  readonly gateway: string | undefined
  readonly context: string | undefined
  readonly kubeconfig: string | undefined
  readonly file: string | undefined
  readonly sinceMs: number | undefined
  readonly isFollowing: boolean
  readonly isWaiting: boolean
  readonly timeoutMs: number
}

/** Throws a UsageError that says what to write instead. */
export function parseOptions(argv: readonly string[]): Options {
  const { values, positionals } = parse(argv)
  if (values.output !== 'table' && values.output !== 'json') {
    throw new UsageError(`there is no output format "${values.output}": use -o table or -o json`)
  }
  const [command = 'help', ...args] = positionals
  return {
    command,
    args,
    isHelp: values.help || command === 'help',
    isJson: values.output === 'json',
    areAllNamespaces: values['all-namespaces'],
    namespace: values.namespace,
    gateway: values.gateway,
    context: values.context,
    kubeconfig: values.kubeconfig,
    file: values.file,
    sinceMs: values.since === undefined ? undefined : timeOf(values.since, '--since'),
    isFollowing: !values['no-follow'],
    isWaiting: values.wait,
    timeoutMs: timeOf(values.timeout, '--timeout'),
  }
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    const [words] = (error as Error).message.split('. ')
    throw new UsageError(`${words}; see kubectl wmoc --help`)
  }
}

function timeOf(text: string, option: string): number {
  const [, count, unit] = /^([0-9]{1,6})(s|m|h)$/.exec(text) ?? []
  if (count === undefined) throw new UsageError(`${option} must be like 30s, 10m or 2h, not "${text}"`)
  return Number(count) * { s: 1_000, m: 60_000, h: 3_600_000 }[unit as 's' | 'm' | 'h']
}

/** The one argument of a command. @param what As the message calls it. @param form As one writes it. */
export function onlyArgument(options: Options, what: string, form = what.toUpperCase()): string {
  const [first, ...more] = options.args
  if (first === undefined || more.length > 0) {
    const example = `kubectl wmoc ${options.command} ${form}`
    throw new UsageError(`kubectl wmoc ${options.command} takes one ${what}: ${example}`)
  }
  return first
}

/** For commands without arguments. */
export function noArguments(options: Options): void {
  if (options.args.length > 0)
    throw new UsageError(`kubectl wmoc ${options.command} takes no "${options.args[0]}"`)
}

/** Configuration: one zod schema per environment variable, in one place per process, printed by `--help`. */
import { z } from 'zod'

export interface Variable<S extends z.ZodType = z.ZodType> {
  /** Parses the text of the variable; `undefined` where it is not set or empty. */
  readonly schema: S
  readonly description: string
  /** Never printed. */
  readonly secret?: boolean
}

/** Lists everything that is wrong with the environment at once. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

export interface ConfigDefinition<V extends Readonly<Record<string, Variable>>> {
  readonly name: string
  readonly variables: V
  /** Parses the environment. Throws ConfigError naming every wrong variable; values of secrets never appear in it. */
  load(env?: NodeJS.ProcessEnv): ConfigOf<V>
  /** The text that `--help` prints. */
  help(): string
  /** The configuration with secrets replaced, for logs. */
  redact(config: ConfigOf<V>): Record<string, unknown>
}

export type ConfigOf<V extends Readonly<Record<string, Variable>>> = {
  readonly [K in keyof V]: z.output<V[K]['schema']>
}

/** Describes the configuration of one process. */
export function defineConfig<const V extends Readonly<Record<string, Variable>>>(definition: {
  name: string
  description: string
  variables: V
}): ConfigDefinition<V> {
  const entries = Object.entries(definition.variables)
  return {
    name: definition.name,
    variables: definition.variables,
    load(env = process.env) {
      const problems: string[] = []
      const config: Record<string, unknown> = {}
      for (const [name, variable] of entries) {
        const text = env[name]
        const parsed = variable.schema.safeParse(text === '' ? undefined : text)
        if (parsed.success) config[name] = parsed.data
        else problems.push(`  ${name}: ${parsed.error.issues.map((issue) => issue.message).join('; ')}`)
      }
      if (problems.length > 0) {
        throw new ConfigError(
          `${definition.name} cannot start, the environment is wrong:\n${problems.join('\n')}`,
        )
      }
      return config as ConfigOf<V>
    },
    help() {
      const lines = entries.map(
        ([name, variable]) => `  ${name}${defaultOf(variable)}\n      ${variable.description}`,
      )
      return `${definition.name}: ${definition.description}\n\nEnvironment variables:\n${lines.join('\n')}\n`
    },
    redact(config) {
      return Object.fromEntries(
        entries.map(([name, variable]) => [
          name,
          variable.secret === true && config[name] !== undefined ? '[redacted]' : config[name],
        ]),
      )
    },
  }
}

function defaultOf(variable: Variable): string {
  const parsed = variable.schema.safeParse(undefined)
  if (!parsed.success) return ' (required)'
  if (parsed.data === undefined || parsed.data === null || parsed.data === '') return ''
  return variable.secret === true ? '' : ` (default ${JSON.stringify(parsed.data)})`
}

/** Prints the help and ends the process where the arguments ask for it. */
export function handleHelp(
  definition: { help(): string },
  argv: readonly string[] = process.argv.slice(2),
): void {
  if (!argv.includes('--help') && !argv.includes('-h')) return
  process.stdout.write(definition.help())
  process.exit(0)
}

/** A TCP port; 0 lets the system choose. */
export const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback)

/** `true`/`false`, `1`/`0`, `yes`/`no`, `on`/`off`. */
export const flag = (fallback: boolean) => z.stringbool().default(fallback)

/** A key or token of at least 32 characters that is not one character over and over. */
export const secret = z
  .string({ error: 'is required' })
  .min(32, 'must have at least 32 characters')
  .refine((value) => new Set(value).size >= 8, 'is too regular to be a secret')

/** Comma-separated text as a list; empty parts are dropped. */
export const list = z
  .string()
  .default('')
  .transform((value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  )

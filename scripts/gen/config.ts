import { backupConfig } from '../../api/src/backup/config.ts'
import { apiConfig } from '../../api/src/config.ts'
import { HELP as SIM_HELP } from '../../device-sim/src/cli/options.ts'
import { config as operatorConfig } from '../../operator/src/config.ts'
import { config as gatewayConfig } from '../../tunnel-gateway/src/config.ts'
import { webConfig } from '../../web/server/config.ts'
import type { Variable } from '@wmoc/platform/config'
import { tracingConfig } from '@wmoc/platform/tracing'
import { HELP as START_HELP } from '../start/options.ts'
import { generated, table } from './markdown.ts'

interface Definition {
  readonly name: string
  readonly variables: Readonly<Record<string, Variable>>
}

/** `docs/generated/config.md`: every environment variable of each process, and the command lines. */
export function configReference(): string {
  return generated('Configuration', 'the configuration of each process', [
    'Each process prints its own part by `--help`. An empty variable counts as not set.',
    ...[apiConfig, gatewayConfig, operatorConfig, webConfig, backupConfig, tracingConfig].flatMap(
      (definition) => [`## ${definition.name}`, variableTable(definition)],
    ),
    '## npm start',
    `\`\`\`text\n${START_HELP.trimEnd()}\n\`\`\``,
    '## npm run sim',
    `\`\`\`text\n${SIM_HELP.trimEnd()}\n\`\`\``,
  ])
}

function variableTable({ variables }: Definition): string {
  const rows = Object.entries(variables).map(([name, variable]) => [
    `\`${name}\``,
    defaultOf(variable),
    `${variable.description}${variable.secret ? ' (secret)' : ''}`,
  ])
  return table(['variable', 'default', 'meaning'], rows)
}

function defaultOf({ schema, secret }: Variable): string {
  const parsed = schema.safeParse(undefined)
  if (!parsed.success) return 'required'
  const isEmpty = parsed.data === undefined || parsed.data === null || parsed.data === ''
  return isEmpty || secret || (Array.isArray(parsed.data) && parsed.data.length === 0)
    ? ''
    : `\`${JSON.stringify(parsed.data)}\``
}

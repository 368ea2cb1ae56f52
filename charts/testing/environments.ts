/** Which process a container runs, and what that process reads from its environment. */
import { apiConfig } from '../../api/src/config.ts'
import { backupConfig } from '../../api/src/backup/config.ts'
import { Environment as smoke } from '../../device-sim/src/smoke/environment.ts'
import { config as operatorConfig } from '../../operator/src/config.ts'
import { config as gatewayConfig } from '../../tunnel-gateway/src/config.ts'
import { tracingConfig } from '@wmoc/platform/tracing'
import { webConfig } from '../../web/server/config.ts'
import type { z } from 'zod'
import type { Container } from './containers.ts'

type Variables = Readonly<Record<string, { readonly schema: z.ZodType }>>

const traced = (variables: Variables): Variables => ({ ...variables, ...tracingConfig.variables })
const api = traced(apiConfig.variables)

/** Of the program in a container's arguments. */
const BY_PROGRAM: Readonly<Record<string, Variables>> = {
  'api/src/main.ts': api,
  'api/src/migrate.ts': api,
  'api/src/cli.ts': api,
  'api/src/backup/upload.ts': backupConfig.variables,
  'operator/src/main.ts': operatorConfig.variables,
  'device-sim/src/smoke/main.ts': Object.fromEntries(
    Object.entries(smoke.shape).map(([name, schema]) => [name, { schema }]),
  ),
}

/** Read by the S3 client, and what other variables are made of. */
const FOREIGN = /^(?:AWS_(?:REGION|ENDPOINT_URL_S3|ACCESS_KEY_ID|SECRET_ACCESS_KEY)|POD_IP)$/

/** Null: a program of somebody else's. */
function variablesOf(container: Container): Variables | null {
  if (container.image.includes('/wmoc-web')) return webConfig.variables
  if (container.image.includes('/wmoc-gateway')) return traced(gatewayConfig.variables)
  const words = [...container.args].flatMap((arg) => arg.split(' '))
  const program = words.find((word) => Object.hasOwn(BY_PROGRAM, word))
  if (program) return BY_PROGRAM[program] ?? null
  if (container.image.includes('/wmoc-'))
    throw new Error(`${container.image}: which program is ${words.join(' ')}?`)
  return null
}

/** What is wrong with the variables of a container: unknown, missing, twice, or a value that the process refuses. */
export function environmentFlaws(container: Container): string[] {
  const variables = variablesOf(container)
  if (variables === null) return []
  const names = container.env.map(({ name }) => name)
  const twice = names.filter((name, index) => names.indexOf(name) !== index)
  const unknown = names.filter((name) => !Object.hasOwn(variables, name) && !FOREIGN.test(name))
  const missing = Object.entries(variables)
    .filter(([name, { schema }]) => !names.includes(name) && !schema.safeParse(undefined).success)
    .map(([name]) => name)
  const refused = container.env.flatMap(({ name, value }) => {
    const schema = variables[name]?.schema
    if (!schema || value === undefined || value.includes('$(')) return []
    return schema.safeParse(value === '' ? undefined : value).success ? [] : [`${name}=${value}`]
  })
  return [
    ...twice.map((name) => `${name} is set twice`),
    ...unknown.map((name) => `${name} is read by nobody`),
    ...missing.map((name) => `${name} is missing`),
    ...refused.map((text) => `${text} is refused`),
  ]
}

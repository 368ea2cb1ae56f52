import packageJson from '../../api/package.json' with { type: 'json' }
import { toOpenApi } from '../../api/src/kernel/openapi.ts'
import { CONTRACTS } from '../../api/src/modules.ts'

/** `docs/generated/openapi.json`, as `/api/openapi.json` of a default installation answers it. */
export function openApiText(): string {
  const document = toOpenApi(Object.values(CONTRACTS), {
    version: packageJson.version,
    serverUrl: 'http://localhost:8080',
  })
  return `${JSON.stringify(document, null, 2)}\n`
}

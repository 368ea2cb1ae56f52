/** `npm run gen`: writes the documents that are made from code. With `--check` it only tells which are out of date. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { RULE_FILES } from './gen/alerts.ts'
import { chartReadme, chartSchema } from './gen/charts.ts'
import { configReference } from './gen/config.ts'
import { CRD_FILES } from './gen/crds.ts'
import { DASHBOARD_FILES } from './gen/dashboards.ts'
import { errorReference } from './gen/errors.ts'
import { metricsReference } from './gen/metrics.ts'
import { openApiText } from './gen/openapi.ts'
import { protocolText, protocolV2Text } from './gen/protocol.ts'
import { shimText } from './gen/shim.ts'
import { threatsText } from './gen/threats-text.ts'
import { ROOT } from './start/root.ts'

const DOCUMENTS: Readonly<Record<string, () => string | Promise<string>>> = {
  'charts/wmoc/values.schema.json': () => chartSchema('wmoc'),
  'charts/wmoc/README.md': () => chartReadme('wmoc'),
  'charts/wmoc-operator/values.schema.json': () => chartSchema('wmoc-operator'),
  'charts/wmoc-operator/README.md': () => chartReadme('wmoc-operator'),
  'docs/generated/openapi.json': openApiText,
  'docs/generated/config.md': configReference,
  'docs/generated/errors.md': errorReference,
  'docs/generated/metrics.md': metricsReference,
  'docs/generated/protocol.md': protocolText,
  'docs/generated/protocol-v2.md': protocolV2Text,
  'docs/security.md': threatsText,
  'tunnel-gateway/src/page/shim/generated/shim.js': shimText,
  ...CRD_FILES,
  ...RULE_FILES,
  ...DASHBOARD_FILES,
}

function present(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}

const isCheck = process.argv.includes('--check')
for (const [path, make] of Object.entries(DOCUMENTS)) {
  const file = join(ROOT, path)
  try {
    const text = await make()
    if (text === present(file)) continue
    if (isCheck) {
      console.error(`${path} is out of date: run npm run gen`)
      process.exitCode = 1
    } else {
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
      console.log(`wrote ${path}`)
    }
  } catch (error) {
    console.error(`${path}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = 1
  }
}

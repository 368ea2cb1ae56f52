/** When the portal has to be built anew. */
import { existsSync, globSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Whether the portal was never built, or a source is newer than the build. */
export function isPortalStale(root: string): boolean {
  const built = join(root, 'web/dist/index.html')
  if (!existsSync(built)) return true
  const builtMs = statSync(built).mtimeMs
  const sources = [
    'web/{index.html,package.json,*.ts,headers.json}',
    'web/{src,public}/**/*',
    'api/src/kernel/{contract,schemas,client}.ts',
    'api/src/modules/*/contract.ts',
  ]
  return globSync(sources, { cwd: root }).some((name) => statSync(join(root, name)).mtimeMs > builtMs)
}

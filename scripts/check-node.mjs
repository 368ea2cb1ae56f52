// Preloaded by every npm script, and plain JavaScript: it must run on whatever Node the system has.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const [major] = process.versions.node.split('.').map(Number)
if (major < 24) {
  const path = (name) => fileURLToPath(new URL(`../node_modules/node/${name}`, import.meta.url))
  if (!existsSync(path('package.json'))) fail('the dependencies are not installed: run `npm ci` first')
  // An npm that did not run install scripts left the package without its program.
  if (!existsSync(path('bin/node'))) {
    spawnSync(process.execPath, ['installArchSpecificPackage.js'], { cwd: path('.'), stdio: 'inherit' })
  }
  if (!existsSync(path('bin/node')))
    fail(`Node 24 is needed, this is ${process.version}: run \`npm rebuild node\``)
  const result = spawnSync(path('bin/node'), process.argv.slice(1), { stdio: 'inherit' })
  process.exit(result.status ?? 1)
}

module.enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/wmoc-compile', import.meta.url)))

function fail(message) {
  console.error(message)
  process.exit(1)
}

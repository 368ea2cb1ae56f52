/** Builds the shim: one small script of what is in the gateway's `page/shim/browser`. */
import { join } from 'node:path'
import { build } from 'vite'
import { ROOT } from '../start/root.ts'

/** The script as browsers of the last two years run it. */
export async function shimText(): Promise<string> {
  const root = join(ROOT, 'tunnel-gateway/src/page/shim/browser')
  const built = await build({
    configFile: false,
    logLevel: 'error',
    root,
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      lib: { entry: join(root, 'main.ts'), formats: ['iife'], name: 'shim' },
    },
  })
  const [first] = Array.isArray(built) ? built : []
  const code = first?.output[0].code
  if (code === undefined) throw new Error('vite built no script')
  return code
}

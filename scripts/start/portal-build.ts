/** Building the portal once, where it was not built or its sources have changed since. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

/** Runs `vite build` in web/; throws with its last lines when it fails. */
export async function buildPortal(root: string, tell: (text: string) => void): Promise<void> {
  const startedAt = Date.now()
  const child = spawn(
    process.execPath,
    [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--logLevel', 'warn'],
    {
      cwd: join(root, 'web'),
      env: { ...process.env, NO_COLOR: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0)
    throw new Error(`the portal could not be built:\n${output.split('\n').slice(-30).join('\n')}`)
  tell(`portal built in ${((Date.now() - startedAt) / 1000).toFixed(1)} s`)
}

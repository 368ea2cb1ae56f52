/** Runs Debian's `promtool`, which comes with the package `prometheus`. */
import { spawnSync } from 'node:child_process'

/** What a command of promtool answered. Throws where the program is missing. */
export function promtool(
  args: readonly string[],
  input = '',
): { readonly isGood: boolean; readonly text: string } {
  const { error, status, stdout, stderr } = spawnSync('promtool', args, { input, encoding: 'utf8' })
  if (error) throw new Error(`cannot run promtool (${error.message}); on Debian: apt-get install prometheus`)
  return { isGood: status === 0, text: `${stdout}${stderr}` }
}

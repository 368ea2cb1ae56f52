#!/usr/bin/env node
/** `kubectl wmoc`: see `--help`. */
import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// Compiled once for each person: half of the time of a command, else. Before the import that it is for.
enableCompileCache(join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'wmoc', 'kubectl'))
const { runPlugin } = await import('./run.ts')

const ending = new AbortController()
process.once('SIGINT', () => ending.abort())
process.once('SIGTERM', () => ending.abort())
process.stdout.on('error', () => ending.abort())
process.exitCode = await runPlugin({
  argv: process.argv.slice(2),
  env: process.env,
  write: (text) => void process.stdout.write(text),
  warn: (text) => void process.stderr.write(text),
  signal: ending.signal,
})

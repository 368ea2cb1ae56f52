#!/usr/bin/env node
/** `kubectl wmoc`: see `--help`. */
import { runPlugin } from './run.ts'

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

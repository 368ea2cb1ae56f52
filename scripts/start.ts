/** `npm start`: the whole platform on this machine, by one command. See `--help`. */
import { runStart } from './start/run.ts'

process.exit(await runStart(process.argv.slice(2)))

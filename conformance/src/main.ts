/** `npm run conformance -- --target device|gateway …` */
import { writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { EXCHANGE_CASES } from './cases/all.ts'
import { startDeviceBench } from './device/listener.ts'
import { HELP, parseOptions, type Options } from './options.ts'
import { startPage } from './page.ts'
import { reportJson, resultLines, summary } from './report.ts'
import type { Result } from './runner.ts'
import { judgeDevice, TARGET_DEVICE_CASES } from './target-device.ts'
import { judgeGateway, TARGET_GATEWAY_CASES, type GatewayTarget } from './target-gateway.ts'

const say = (text: string) => void process.stdout.write(`${text}\n`)
const onResult = (result: Result) => say(resultLines(result))

async function device({ listen, dialect, patience, only }: Options): Promise<Result[]> {
  const bench = await startDeviceBench({ ...listen, dialect, patienceMs: patience * 1_000 })
  say(`Waiting for a device of dialect ${dialect} at ${bench.url}\n`)
  try {
    return await judgeDevice(bench, { only, onResult })
  } finally {
    await bench.stop()
  }
}

/** Checked by the options. */
function gatewayTarget({ url = '', bearer = '', dialect, token, credentials, only }: Options): GatewayTarget {
  return { url, bearer, dialect, token, credentials, only, onResult }
}

function list(): void {
  for (const [target, cases] of [
    ['device and gateway', EXCHANGE_CASES],
    ['device', TARGET_DEVICE_CASES],
    ['gateway', TARGET_GATEWAY_CASES],
  ] as const) {
    say(`\n${target}`)
    for (const { id, title, needs } of cases)
      say(`  ${id}: ${title}${needs.length > 0 ? ` (needs ${needs.join(', ')})` : ''}`)
  }
}

async function serve(port: number): Promise<void> {
  const page = await startPage(port)
  say(`The conformance page is at ${page.url}/conformance/ until Ctrl-C`)
  await once(process, 'SIGINT')
  await page.stop()
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === null || typeof options === 'string') {
    say(options === null ? HELP : `${options}\n\n${HELP}`)
    return options === null ? 0 : 2
  }
  if (options.list) list()
  if (options.serve !== undefined) await serve(options.serve)
  if (!options.target) return 0
  const results =
    options.target === 'device' ? await device(options) : await judgeGateway(gatewayTarget(options))
  say(`\n${summary(results)}`)
  if (options.json) writeFileSync(options.json, reportJson(results))
  return results.some(({ outcome }) => outcome === 'failed') ? 1 : 0
}

try {
  process.exitCode = await main()
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 2
}

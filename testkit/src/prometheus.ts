/** A real Prometheus, Debian's `prometheus`, on a free port with data of its own. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from './free-port.ts'
import { run } from './process.ts'

export interface ScrapeJob {
  readonly name: string
  /** `host:port` of each process that answers `/metrics`. */
  readonly targets: readonly string[]
  readonly labels: Readonly<Record<string, string>>
}

export interface PrometheusOptions {
  readonly jobs: readonly ScrapeJob[]
  /** Absolute paths. */
  readonly ruleFiles: readonly string[]
  /** Of scrapes and of evaluations, as Prometheus writes durations. */
  readonly interval: string
}

export interface Target {
  readonly scrapeUrl: string
  readonly health: string
  readonly lastError: string
}

export interface Rule {
  readonly name: string
  readonly health: string
  readonly lastError?: string
}

export interface FiringAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly state: string
}

export interface TestPrometheus {
  readonly url: string
  targets(): Promise<Target[]>
  rules(): Promise<Rule[]>
  alerts(): Promise<FiringAlert[]>
  /** The value of the first series of an instant query; null: there is none. */
  query(expr: string): Promise<number | null>
  stop(): Promise<void>
}

/** Starts it and waits until it is ready. */
export async function startPrometheus(options: PrometheusOptions): Promise<TestPrometheus> {
  const folder = mkdtempSync(join(tmpdir(), 'wmoc-prometheus-'))
  const file = join(folder, 'prometheus.json')
  writeFileSync(file, configText(options))
  const address = `127.0.0.1:${await freePort()}`
  const child = run(`--config.file=${file}`, {
    program: 'prometheus',
    args: [`--storage.tsdb.path=${join(folder, 'data')}`, `--web.listen-address=${address}`],
  })
  const url = `http://${address}`

  async function ask<T>(path: string): Promise<T> {
    const response = await fetch(`${url}/api/v1/${path}`)
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return ((await response.json()) as { data: T }).data
  }

  await child.waitFor(/Server is ready/, 30_000)
  return {
    url,
    targets: async () => (await ask<{ activeTargets: Target[] }>('targets')).activeTargets,
    rules: async () =>
      (await ask<{ groups: { rules: Rule[] }[] }>('rules')).groups.flatMap(({ rules }) => rules),
    alerts: async () => (await ask<{ alerts: FiringAlert[] }>('alerts')).alerts,
    async query(expr) {
      const { result } = await ask<{ result: { value: [number, string] }[] }>(
        `query?query=${encodeURIComponent(expr)}`,
      )
      return result[0] === undefined ? null : Number(result[0].value[1])
    },
    async stop() {
      await child.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** JSON is YAML. */
function configText({ jobs, ruleFiles, interval }: PrometheusOptions): string {
  return JSON.stringify({
    global: { scrape_interval: interval, evaluation_interval: interval },
    rule_files: ruleFiles,
    scrape_configs: jobs.map(({ name, targets, labels }) => ({
      job_name: name,
      static_configs: [{ targets, labels }],
    })),
  })
}

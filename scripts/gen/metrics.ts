import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../start/root.ts'
import { generated, table } from './markdown.ts'

interface Metric {
  readonly name: string
  readonly type: string
  readonly labels: string
  readonly help: string
}

const DEFINITION =
  /\b(counter|gauge|histogram)\w*\(\s*['"](wmoc_\w+)['"],\s*(['"`])((?:(?!\3)[^\\]|\\.)*)\3([^)]{0,300})/gi

/** Every metric that a source text defines by `counter(…)`, `gauge(…)` or `histogram(…)`. */
export function metricsOf(source: string): Metric[] {
  return [...source.matchAll(DEFINITION)].map(([, type, name, , help, rest]) => ({
    name: name!,
    type: type!.toLowerCase(),
    labels: [...(/\[([^\]]*)\]/.exec(rest!.split('buckets')[0]!)?.[1] ?? '').matchAll(/['"](\w+)['"]/g)]
      .map(([, label]) => `\`${label}\``)
      .join(', '),
    help: help!,
  }))
}

/** `docs/generated/metrics.md`: every metric, read from the sources that define it. */
export function metricsReference(): string {
  const files = globSync('{{platform,api,tunnel-gateway,operator}/src,web/server}/**/*.ts', {
    cwd: ROOT,
  }).filter((file) => !/\.test\.ts$|\/testing\//.test(file))
  const byName = new Map(
    files
      .flatMap((file) => metricsOf(readFileSync(join(ROOT, file), 'utf8')))
      .map((metric) => [metric.name, metric]),
  )
  const rows = [...byName.values()]
    .toSorted((a, b) => a.name.localeCompare(b.name))
    .map(({ name, type, labels, help }) => [`\`${name}\``, type, labels, help])
  return generated('Metrics', 'the sources that define them', [
    'Each process answers `/metrics` on its admin port, with the default metrics of `prom-client` beside these. Label values come from closed sets.',
    table(['metric', 'type', 'labels', 'meaning'], rows),
  ])
}

/** Charts rendered by the real helm, as objects. */
import { globSync } from 'node:fs'
import { basename, join } from 'node:path'
import { execute } from '@wmoc/testkit/kube/execute'
import { findTool } from '@wmoc/testkit/kube/tools'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'

export const CHARTS = join(import.meta.dirname, '..')
/** Where each chart is released in tests. */
export const NAMESPACE = 'wmoc'

const KubeObject = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string(), namespace: z.string().optional() }),
})
export type KubeObject = z.infer<typeof KubeObject>

export interface Rendered {
  /** `wmoc/external`: the chart and its file of values. */
  readonly name: string
  readonly chart: string
  readonly values: string
  /** Without hooks: what runs on. */
  readonly text: string
  /** Hooks too. */
  readonly objects: readonly KubeObject[]
}

/** Every chart with each of its `ci/*-values.yaml`. */
export function ciCases(): { name: string; chart: string; values: string }[] {
  return globSync('*/ci/*-values.yaml', { cwd: CHARTS })
    .toSorted()
    .map((path) => {
      const chart = path.split('/')[0]!
      return {
        name: `${chart}/${basename(path, '-values.yaml')}`,
        chart,
        values: join(CHARTS, path),
      }
    })
}

/** `helm template` of a case, hooks included. */
export async function render(of: { name: string; chart: string; values: string }): Promise<Rendered> {
  const args = ['template', of.chart, join(CHARTS, of.chart), '--namespace', NAMESPACE, '--values', of.values]
  const [text, all] = await Promise.all([
    execute(findTool('helm'), [...args, '--no-hooks']),
    execute(findTool('helm'), args),
  ])
  return { ...of, text, objects: parse(all) }
}

function parse(text: string): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors[0]) throw document.errors[0]
    const value: unknown = document.toJSON()
    return value === null ? [] : [KubeObject.parse(value)]
  })
}

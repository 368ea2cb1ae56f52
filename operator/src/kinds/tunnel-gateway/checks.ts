/** What is wrong with an object before anything is done for it: in this order, the first that finds something. Pure. */
import type { z } from 'zod'
import { TunnelGatewaySpec } from './schema.ts'
import { selectorLabels } from './names.ts'

export interface Problem {
  /** Of the condition Reconciled; documented in README.md. */
  readonly reason: 'InvalidSpec' | 'InvalidName' | 'InvalidPodTemplate'
  /** What to do. */
  readonly message: string
}

export type Checked =
  | { readonly ok: true; readonly spec: TunnelGatewaySpec }
  | { readonly ok: false; readonly problem: Problem }

/** @param spec as the API server has it */
export function check(name: string, spec: unknown): Checked {
  const parsed = TunnelGatewaySpec.safeParse(spec)
  if (!parsed.success) return { ok: false, problem: invalid(parsed.error) }
  for (const find of [nameFits, templateIsOne, labelsStay, containerStays]) {
    const problem = find(name, parsed.data)
    if (problem !== null) return { ok: false, problem }
  }
  return { ok: true, spec: parsed.data }
}

function invalid(error: z.ZodError): Problem {
  const first = error.issues.slice(0, 5).map(({ path, message }) => `spec.${path.join('.')}: ${message}`)
  return { reason: 'InvalidSpec', message: `${first.join('; ')}. Correct it; nothing is changed until then.` }
}

function nameFits(name: string): Problem | null {
  if (name.length <= 40 && /^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) return null
  const message =
    'the name must be a DNS label of at most 40 characters that begins with a letter: make it anew'
  return { reason: 'InvalidName', message }
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

function template(message: string): Problem {
  return { reason: 'InvalidPodTemplate', message: `spec.podTemplate: ${message}` }
}

function templateIsOne(_name: string, { podTemplate }: TunnelGatewaySpec): Problem | null {
  if (podTemplate === undefined) return null
  const { metadata, spec, ...rest } = podTemplate as Record<string, unknown>
  const strange = Object.keys(rest)[0]
  if (strange !== undefined) return template(`knows metadata and spec; remove ${strange}`)
  if (metadata !== undefined && !isPlain(metadata)) return template('metadata must be an object')
  if (spec !== undefined && !isPlain(spec)) return template('spec must be an object')
  for (const key of ['labels', 'annotations']) {
    const given = metadata?.[key]
    if (given === undefined) continue
    if (!isPlain(given) || Object.values(given).some((value) => typeof value !== 'string'))
      return template(`metadata.${key} must map names to texts`)
  }
  return null
}

function labelsStay(name: string, { podTemplate }: TunnelGatewaySpec): Problem | null {
  const labels = podTemplate?.metadata?.labels ?? {}
  const taken = Object.entries(selectorLabels(name)).find(
    ([key, value]) => labels[key] !== undefined && labels[key] !== value,
  )
  if (taken === undefined) return null
  return template(`the label ${taken[0]} selects the shards and stays ${taken[1]}: remove it`)
}

function containerStays(_name: string, { podTemplate }: TunnelGatewaySpec): Problem | null {
  const containers: unknown = podTemplate?.spec?.containers
  if (containers === undefined) return null
  if (
    !Array.isArray(containers) ||
    !containers.every((one) => isPlain(one) && typeof one['name'] === 'string')
  )
    return template(
      'spec.containers must be a list of containers with names; the one of the shard is called gateway',
    )
  const own = containers.find(({ name }: { name: string }) => name === 'gateway') as
    | { image?: unknown }
    | undefined
  if (own?.image !== undefined)
    return template('the image of the container gateway is spec.image: remove it here')
  return null
}

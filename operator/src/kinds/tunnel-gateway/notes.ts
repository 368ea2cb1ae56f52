/** The operator's memory, as it stands in annotations. What can't be read counts as not there. */
import { z } from 'zod'
import { timestamp } from '#src/runtime/conditions.ts'
import type { DrainMark, RolloutStep } from './world.ts'

const MAX_NAMES = 10
const count = z.int().min(0)
const moment = z.iso.datetime().transform((text) => Date.parse(text))
const Mark = z.object({
  reason: z.enum(['ScaleIn', 'Rollout', 'Manual', 'Deletion']),
  since: moment,
  tunnels: count,
  fleet: count,
})
const Step = z.object({ at: moment, fleet: count })

function parse<S extends z.ZodType>(schema: S, text: string | undefined): z.output<S> | null {
  if (text === undefined) return null
  try {
    return schema.safeParse(JSON.parse(text)).data ?? null
  } catch {
    return null
  }
}

export function readMark(text: string | undefined): DrainMark | null {
  const mark = parse(Mark, text)
  if (mark === null) return null
  return { reason: mark.reason, startedAtMs: mark.since, tunnels: mark.tunnels, fleetTunnels: mark.fleet }
}

export function writeMark({ reason, startedAtMs, tunnels, fleetTunnels }: DrainMark): string {
  return JSON.stringify({ reason, since: timestamp(startedAtMs), tunnels, fleet: fleetTunnels })
}

export function readStep(text: string | undefined): RolloutStep | null {
  const step = parse(Step, text)
  return step === null ? null : { atMs: step.at, fleetTunnels: step.fleet }
}

export function writeStep({ atMs, fleetTunnels }: RolloutStep): string {
  return JSON.stringify({ at: timestamp(atMs), fleet: fleetTunnels })
}

/** A list of hashes, newest first. */
export function readNames(text: string | undefined): string[] {
  return (text ?? '').split(',').filter((name) => /^[a-z0-9]{1,64}$/.test(name))
}

/** `name` first, each once, the oldest forgotten. */
export function withName(names: readonly string[], name: string): string[] {
  return [name, ...names.filter((other) => other !== name)].slice(0, MAX_NAMES)
}

/** Credentials of a fleet: a file of JSON lines, one controller each. */
import { existsSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import { replaceFile, type DeviceState, type DeviceStore, createMemoryStore } from '../device/store.ts'

const Line = z.looseObject({
  mac: z.string().optional(),
  token: z.string().optional(),
  controller_id: z.uuid().optional(),
  secret: z.string().optional(),
  next: z.object({ controller_id: z.uuid(), secret: z.string() }).nullish(),
})
type Line = z.infer<typeof Line>

export type FleetCredentials = {
  /** Store and activation token of controller number `index`, from 0. */
  device(index: number): { store: DeviceStore; token?: string }
  /** Writes what changed; mode 0600, replaced atomically. */
  flush(): void
}

/** `path` null: nothing is kept. Throws with the number of a line that is no JSON object of this kind. */
export function openCredentials(path: string | null): FleetCredentials {
  const lines: Line[] = path && existsSync(path) ? readLines(readFileSync(path, 'utf8')) : []
  let isChanged = false
  return {
    device(index) {
      const line = lines[index]
      const memory = createMemoryStore(line ? stateOf(line) : null)
      const store: DeviceStore = {
        ...memory,
        save(state) {
          memory.save(state)
          lines[index] = { mac: state.mac, ...state.current, next: state.next }
          isChanged = true
        },
      }
      return { store, token: line?.token }
    },
    flush() {
      if (!path || !isChanged) return
      isChanged = false
      // Array.from fills the holes of controllers that have nothing yet.
      replaceFile(path, Array.from(lines, (line) => `${JSON.stringify(line ?? {})}\n`).join(''))
    },
  }
}

function readLines(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line, index) => {
      try {
        return Line.parse(JSON.parse(line))
      } catch (error) {
        throw new Error(`line ${index + 1} is no credential`, { cause: error })
      }
    })
}

function stateOf({ mac, controller_id, secret, next }: Line): DeviceState | null {
  if (!mac && !controller_id) return null
  const current = controller_id && secret ? { controller_id, secret } : null
  return { mac, current, next: next ?? null }
}

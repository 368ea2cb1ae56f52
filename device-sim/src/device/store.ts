/** Where a simulated controller keeps what must survive a power cut. */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { CredentialSlots } from './session.ts'

const Slot = z.object({ controller_id: z.uuid(), secret: z.string() }).nullable()
const StateFile = z.object({ version: z.literal(1), mac: z.string().optional(), current: Slot, next: Slot })
export type DeviceState = CredentialSlots & { mac?: string }

const JournalLine = z.object({
  id: z.string(),
  expiresAt: z.number(),
  /** Absent: begun, and nobody knows how it ended. */
  answer: z.object({ ok: z.boolean(), result: z.json().optional(), error: z.string().optional() }).optional(),
})
export type JournalEntry = z.infer<typeof JournalLine>

export type DeviceStore = {
  /** Null: a new device. Throws when there is something that is no state. */
  load(): DeviceState | null
  save(state: DeviceState): void
  /** Commands begun and done, oldest first; a later entry of the same id replaces the earlier. */
  loadJournal(): JournalEntry[]
  /** On disk when it returns. */
  appendJournal(entry: JournalEntry): void
}

/** Keeps everything for the life of the process. */
export function createMemoryStore(initial: DeviceState | null = null): DeviceStore {
  let state = initial
  const journal: JournalEntry[] = []
  return {
    load: () => state,
    save: (next) => void (state = next),
    loadJournal: () => [...journal],
    appendJournal: (entry) => void journal.push(entry),
  }
}

/**
 * State in `path` (mode 0600, replaced atomically) and the journal of commands in `path.commands` beside it. Entries
 * of commands that ran out before `nowMs` are left behind when the journal is loaded.
 */
export function createFileStore(path: string, nowMs: () => number = Date.now): DeviceStore {
  const journalPath = `${path}.commands`
  return {
    load() {
      if (!existsSync(path)) return null
      return StateFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    },
    save: (state) => replaceFile(path, `${JSON.stringify({ version: 1, ...state })}\n`),
    loadJournal() {
      const entries = readJournal(journalPath).filter(({ expiresAt }) => expiresAt > nowMs())
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`)
      if (existsSync(journalPath)) replaceFile(journalPath, lines.join(''))
      return entries
    },
    appendJournal(entry) {
      mkdirSync(dirname(path), { recursive: true })
      appendFileSync(journalPath, `${JSON.stringify(entry)}\n`, { mode: 0o600, flush: true })
    },
  }
}

function readJournal(path: string): JournalEntry[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        const entry = JournalLine.safeParse(JSON.parse(line))
        return entry.success ? [entry.data] : []
      } catch {
        // The last line of a journal that a power cut ended.
        return []
      }
    })
}

/** Replaces a file in one step (mode 0600); a reader or a power cut sees the old or the new. */
export function replaceFile(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.tmp`
  const file = openSync(temporary, 'w', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}

/** Commands of the platform: each id is executed at most once, whatever is repeated and whenever the power goes. */
import type { Command, CommandResult } from '@wmoc/protocol/messages'
import type { DeviceStore, JournalEntry } from './store.ts'

export type CommandHandler = (params: unknown) => CommandOutcome | Promise<CommandOutcome>
export type CommandOutcome = { ok: true; result?: CommandResult['result'] } | { ok: false; error: string }

export type CommandRunner = {
  /**
   * `result` is what to send: null while the same id is being executed, since its own answer comes. Rejects only when
   * the journal cannot be written; then nothing was executed, or nothing may be answered.
   */
  run(command: Command): Promise<{ result: CommandResult | null; isRepeated: boolean }>
}

/**
 * An id is journalled before it is executed and again with its outcome before it is answered. A command that was begun
 * and not finished is answered `interrupted`: doing it again could do it twice.
 */
export function createCommandRunner(options: {
  store: Pick<DeviceStore, 'loadJournal' | 'appendJournal'>
  handlers: Readonly<Record<string, CommandHandler>>
  nowMs: () => number
}): CommandRunner {
  const { store, nowMs } = options
  const known = new Map<string, JournalEntry>()
  for (const entry of store.loadJournal()) known.set(entry.id, entry)
  const running = new Set<string>()

  function record(entry: JournalEntry): void {
    store.appendJournal(entry)
    known.set(entry.id, entry)
  }

  async function execute(command: Command): Promise<CommandOutcome> {
    const handler = Object.hasOwn(options.handlers, command.name) ? options.handlers[command.name] : undefined
    if (!handler) {
      return { ok: false, error: `unknown command; known are ${Object.keys(options.handlers).join(', ')}` }
    }
    try {
      return await handler(command.params)
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message.slice(0, 1_000) : 'failed' }
    }
  }

  return {
    async run(command) {
      const { id, expiresAt } = command
      if (running.has(id)) return { result: null, isRepeated: true }
      const earlier = known.get(id)
      if (earlier) return { result: resultOf(id, earlier.answer ?? INTERRUPTED), isRepeated: true }
      if (expiresAt <= nowMs()) return { result: resultOf(id, EXPIRED), isRepeated: false }
      forgetExpired(known, nowMs())
      running.add(id)
      try {
        record({ id, expiresAt })
        const answer = await execute(command)
        record({ id, expiresAt, answer })
        return { result: resultOf(id, answer), isRepeated: false }
      } finally {
        running.delete(id)
      }
    },
  }
}

const INTERRUPTED: CommandOutcome = { ok: false, error: 'interrupted' }
const EXPIRED: CommandOutcome = { ok: false, error: 'expired' }

function resultOf(id: string, outcome: CommandOutcome | NonNullable<JournalEntry['answer']>): CommandResult {
  return { type: 'command_result', id, ...outcome }
}

function forgetExpired(known: Map<string, JournalEntry>, nowMs: number): void {
  for (const [id, { expiresAt }] of known) if (expiresAt <= nowMs) known.delete(id)
}

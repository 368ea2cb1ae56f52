/**
 * One stream of events that mends itself: goes on after the last event it saw, waits longer after each failure (with
 * jitter, so that a restarted server isn't met by everybody at once). No DOM: the connection and the clock come in.
 */
import type { StreamEvent } from '@wmoc/api/contracts/events'

export interface Streamed {
  readonly id: string | null
  readonly data: StreamEvent | null
}

export interface LiveStreamDeps {
  readonly open: (lastEventId: string | null, signal: AbortSignal) => AsyncIterable<Streamed>
  readonly onEvent: (event: StreamEvent) => void
  readonly onState: (state: LiveState) => void
  /** Resolves after `ms` or as soon as the signal fires. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  /** 0 … 1 */
  readonly random: () => number
}

export type LiveState = 'connecting' | 'open' | 'waiting' | 'closed'

/** The server writes a comment each 15 s; three missed ones mean a dead connection. */
const SILENCE_MS = 45_000
const FIRST_DELAY_MS = 500
const LAST_DELAY_MS = 30_000

/** Half of the doubled delay is fixed, half is chance. `attempt` counts from 0. */
export function reconnectDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt)
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}

/** `start` and `stop` may be called any number of times; the place in the stream is kept. */
export function createLiveStream(deps: LiveStreamDeps) {
  let lastEventId: string | null = null
  let running: AbortController | null = null

  async function read(signal: AbortSignal): Promise<boolean> {
    const connection = new AbortController()
    const hangUp = () => connection.abort()
    signal.addEventListener('abort', hangUp)
    let watch = setTimeout(hangUp, SILENCE_MS)
    let heard = false
    try {
      for await (const event of deps.open(lastEventId, connection.signal)) {
        if (!heard) deps.onState('open')
        heard = true
        clearTimeout(watch)
        watch = setTimeout(hangUp, SILENCE_MS)
        if (event.id !== null) lastEventId = event.id
        if (event.data !== null && !signal.aborted) deps.onEvent(event.data)
      }
    } finally {
      clearTimeout(watch)
      signal.removeEventListener('abort', hangUp)
    }
    return heard
  }

  async function run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      deps.onState('connecting')
      // oxlint-disable-next-line eslint/no-await-in-loop -- one connection after the other
      if (await read(signal).catch(() => false)) attempt = 0
      if (signal.aborted) return
      deps.onState('waiting')
      // oxlint-disable-next-line eslint/no-await-in-loop
      await deps.sleep(reconnectDelayMs(attempt, deps.random()), signal)
    }
  }

  function stop(): void {
    running?.abort()
    running = null
    deps.onState('closed')
  }

  return {
    start() {
      if (running) return
      running = new AbortController()
      void run(running.signal)
    },
    stop,
    /** Connects anew, for example because other things are wanted of the stream. */
    restart() {
      if (!running) return
      running.abort()
      running = new AbortController()
      void run(running.signal)
    },
    /** Another person's place in the stream is not ours. */
    forget() {
      stop()
      lastEventId = null
    },
  }
}

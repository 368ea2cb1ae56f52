/** Server-sent events (WHATWG HTML, section 9.2): an async iterable becomes a response. */
import type { ServerResponse } from 'node:http'
import type { SseFrame } from './module.ts'

export const HEARTBEAT_MS = 15_000
/** A client that takes nothing for this long is cut; it comes back with `Last-Event-ID`. */
const STALL_MS = 20_000

/**
 * Writes frames until the iterable ends, which it does when the request's signal is aborted, or the client takes nothing
 * more. A comment goes out when nothing else did for 15 s. The next frame is asked for only when the socket has room, so
 * what waits is the iterable's to bound.
 */
export async function writeSse(response: ServerResponse, frames: AsyncIterable<SseFrame>): Promise<void> {
  let isIdle = true
  const heartbeat = setInterval(() => {
    if (isIdle && !response.destroyed) response.write(':\n\n')
    isIdle = true
  }, HEARTBEAT_MS)
  try {
    response.flushHeaders()
    for await (const frame of frames) {
      isIdle = false
      if (!(await write(response, formatFrame(frame)))) break
    }
  } finally {
    clearInterval(heartbeat)
    response.end()
  }
}

/** Text of one frame; without event and data it is a comment. */
export function formatFrame(frame: SseFrame): string {
  if (frame.event === undefined && frame.data === undefined && frame.id === undefined) return ':\n\n'
  const lines = []
  if (frame.id !== undefined) lines.push(`id: ${oneLine(frame.id)}`)
  if (frame.event !== undefined) lines.push(`event: ${oneLine(frame.event)}`)
  if (frame.data !== undefined) lines.push(`data: ${JSON.stringify(frame.data)}`)
  return `${lines.join('\n')}\n\n`
}

function oneLine(text: string): string {
  return text.replaceAll(/[\r\n\0]/g, ' ')
}

/** False when the client is gone or takes nothing. */
async function write(response: ServerResponse, text: string): Promise<boolean> {
  if (response.destroyed || response.writableEnded) return false
  if (response.write(text)) return true
  const drained = await new Promise<boolean>((resolve) => {
    const done = (ok: boolean) => {
      clearTimeout(timer)
      response.off('drain', onDrain)
      response.off('close', onClose)
      resolve(ok)
    }
    const onDrain = () => done(true)
    const onClose = () => done(false)
    const timer = setTimeout(() => done(false), STALL_MS)
    response.once('drain', onDrain)
    response.once('close', onClose)
  })
  if (!drained) response.destroy()
  return drained
}

/** The body of a watch: one JSON object a line. */
import type { WatchEvent } from './client.ts'
import { KubeError } from './errors.ts'
import type { Stored } from './objects.ts'

interface Line<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR'
  readonly object: Stored<T> & { code?: number; reason?: string; message?: string }
}

/** Events out of bytes. Throws a KubeError for the server's ERROR; an incomplete last line is dropped. */
export async function* watchLines<T>(body: AsyncIterable<Uint8Array>): AsyncGenerator<WatchEvent<T>> {
  const decoder = new TextDecoder()
  let pieces: string[] = []
  for await (const chunk of body) {
    const lines = decoder.decode(chunk, { stream: true }).split('\n')
    for (const line of lines.slice(0, -1)) {
      const whole = pieces.length === 0 ? line : pieces.join('') + line
      pieces = []
      if (whole !== '') yield eventOf(JSON.parse(whole) as Line<T>)
    }
    pieces.push(lines.at(-1)!)
  }
}

function eventOf<T>({ type, object }: Line<T>): WatchEvent<T> {
  if (type === 'BOOKMARK') return { type, resourceVersion: object.metadata.resourceVersion }
  if (type !== 'ERROR') return { type, object }
  const { code = 500, reason = 'InternalError', message = 'the watch failed' } = object
  throw new KubeError(code, code === 410 ? 'Expired' : reason, message)
}

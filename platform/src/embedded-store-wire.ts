/** What the embedded store's processes say to each other: one JSON object a line over loopback TCP. */
import { z } from 'zod'

/** A longer line ends the connection. */
export const MAX_LINE_CHARS = 4_194_304

const rule = z.object({
  burst: z.number().positive(),
  count: z.number().positive(),
  periodMs: z.number().positive(),
})
const lease = z.object({ id: z.string(), value: z.string() })
const entry = z.object({ controllerId: z.string(), epoch: z.number() })

/** The operations; `args` are those of the Store method of that name. */
export const Operation = z.discriminatedUnion('op', [
  z.object({ op: z.literal('auth'), args: z.tuple([z.string()]) }),
  z.object({ op: z.literal('get'), args: z.tuple([z.string()]) }),
  z.object({
    op: z.literal('set'),
    args: z.tuple([
      z.string(),
      z.string(),
      z.object({ ttlMs: z.number(), ifAbsent: z.boolean().optional() }),
    ]),
  }),
  z.object({ op: z.literal('take'), args: z.tuple([z.string()]) }),
  z.object({ op: z.literal('delete'), args: z.tuple([z.array(z.string())]) }),
  z.object({ op: z.literal('increment'), args: z.tuple([z.string(), z.number()]) }),
  z.object({ op: z.literal('limit'), args: z.tuple([z.string(), rule, z.number()]) }),
  z.object({
    op: z.literal('claimPresence'),
    args: z.tuple([z.string(), z.object({ shard: z.string(), atLeast: z.number(), ttlMs: z.number() })]),
  }),
  z.object({ op: z.literal('renewPresence'), args: z.tuple([z.string(), z.array(entry), z.number()]) }),
  z.object({ op: z.literal('releasePresence'), args: z.tuple([z.string(), z.number()]) }),
  z.object({ op: z.literal('leavePresence'), args: z.tuple([z.string(), z.number(), z.number()]) }),
  z.object({ op: z.literal('keepLease'), args: z.tuple([z.string(), lease, z.number()]) }),
  z.object({ op: z.literal('dropLease'), args: z.tuple([z.string(), z.string()]) }),
  z.object({ op: z.literal('leases'), args: z.tuple([z.string()]) }),
  z.object({ op: z.literal('getPresence'), args: z.tuple([z.array(z.string())]) }),
  z.object({ op: z.literal('publish'), args: z.tuple([z.string(), z.string()]) }),
  z.object({ op: z.literal('subscribe'), args: z.tuple([z.string()]) }),
  z.object({ op: z.literal('unsubscribe'), args: z.tuple([z.string()]) }),
  z.object({ op: z.literal('ping'), args: z.tuple([]) }),
])
export type Operation = z.infer<typeof Operation>

/** Client to server. */
export const WireRequest = z.intersection(z.object({ id: z.number() }), Operation)
export type WireRequest = z.infer<typeof WireRequest>

/** Server to client: an answer to a request, or a message of a channel. */
export const WireReply = z.union([
  z.object({ id: z.number(), value: z.unknown() }),
  z.object({ id: z.number(), error: z.string() }),
  z.object({ channel: z.string(), message: z.string() }),
])
export type WireReply = z.infer<typeof WireReply>

/**
 * Cuts a byte stream into lines.
 * @returns A function to feed with text; it throws when a line grows over MAX_LINE_CHARS.
 */
export function lineReader(onLine: (line: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    if (rest.length > MAX_LINE_CHARS) throw new Error('line too long')
    for (const line of lines) onLine(line)
  }
}

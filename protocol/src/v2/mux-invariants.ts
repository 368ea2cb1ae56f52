/** What must always hold in a mux, for `invariants()`. */
import type { ConnectionCredit } from './connection-credit.ts'
import type { Output } from './mux-output.ts'
import type { Stream } from './mux-stream.ts'

/** One line for each thing that is wrong. */
export function muxInvariants(
  streams: ReadonlyMap<number, Stream>,
  output: Output,
  credit: ConnectionCredit,
): string[] {
  const wrong: string[] = []
  let queued = 0
  let unconsumed = 0
  for (const [id, stream] of streams) {
    queued += stream.queuedBytes
    unconsumed += stream.unconsumed
    if (stream.id !== id || stream.isOver) wrong.push('is over and in the table')
    for (const text of [...streamInvariants(stream), ...output.streamInvariants(stream)])
      wrong.push(`stream ${id} ${text}`)
  }
  if (queued !== output.queuedBytes) wrong.push('queued bytes are counted wrongly')
  if (unconsumed !== credit.unconsumed) wrong.push('unconsumed bytes are counted wrongly')
  if (!credit.isBalanced) wrong.push('credit of the connection was lost')
  return [...wrong, ...output.invariants()]
}

function streamInvariants(stream: Stream): string[] {
  const wrong: string[] = []
  let waiting = -stream.offset
  for (let at = stream.first; at < stream.chunks.length; at += 1) waiting += stream.chunks[at]!.length
  if (waiting !== stream.queuedBytes) wrong.push('counts its queue wrongly')
  if (stream.isSendOver && stream.isReceiveOver && stream.resetCode === 0)
    wrong.push('ended and is not freed')
  if (stream.sendCredit < 0 || stream.receiveCredit < 0) wrong.push('has credit below 0')
  const given = stream.receiveCredit + stream.unconsumed + stream.toCredit
  if (!stream.isReset && !stream.isReceiveOver && given !== stream.receiveWindow) wrong.push('lost credit')
  return wrong
}

/** What a person (or a log) sees of the simulator. */
import { renderUnicodeCompact } from 'uqr'

export type Screen = {
  line(text: string, fields?: Record<string, unknown>): void
  /** Replaces itself on a terminal; a plain line elsewhere. */
  progress(text: string): void
  qr(address: string): void
}

export type ScreenOutput = { write(text: string): unknown; isTTY?: boolean }

/** `json`: one object per line, `qr` and `progress` leave nothing. Text of the peer is shown without control characters. */
export function createScreen(
  output: ScreenOutput,
  options: { json: boolean; qr: boolean; nowMs: () => number },
): Screen {
  let hasProgress = false
  function clear(): void {
    if (hasProgress) output.write('\r\u001b[K')
    hasProgress = false
  }
  if (options.json) {
    return {
      line: (event, fields = {}) =>
        void output.write(`${JSON.stringify({ event, at: options.nowMs(), ...fields })}\n`),
      progress: () => undefined,
      qr: () => undefined,
    }
  }
  return {
    line(text, fields = {}) {
      clear()
      const time = new Date(options.nowMs()).toISOString().slice(11, 19)
      const details = Object.entries(fields).map(([name, value]) => ` ${name}=${printable(value)}`)
      output.write(`${time} ${printable(text)}${details.join('')}\n`)
    },
    progress(text) {
      clear()
      output.write(output.isTTY ? text : `${text}\n`)
      hasProgress = output.isTTY === true
    },
    qr(address) {
      if (output.isTTY || options.qr) output.write(`${renderUnicodeCompact(address, { border: 2 })}\n`)
    },
  }
}

/** One line, nothing a terminal would obey. */
export function printable(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return (text ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u00b7')
}

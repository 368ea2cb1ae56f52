/**
 * Logging by winston: one JSON object a line with ECS field names in production, readable text in development.
 * Strings from outside can neither forge a line nor carry a terminal escape, and a line has a bounded size.
 */
import { format } from 'node:util'
import winston from 'winston'

/** What a line is about: a closed set, so that a filter can rely on it. */
export const LOG_CATEGORIES = [
  'lifecycle',
  'config',
  'http',
  'tunnel',
  'proxy',
  'auth',
  'security',
  'db',
  'store',
  'jobs',
  'events',
  'mail',
  'audit',
  'ingest',
  'commands',
  'cluster',
] as const
export type LogCategory = (typeof LOG_CATEGORIES)[number]

export type LogFields = Readonly<Record<string, unknown>>

export interface Logger {
  debug(category: LogCategory, message: string, fields?: LogFields): void
  info(category: LogCategory, message: string, fields?: LogFields): void
  warn(category: LogCategory, message: string, fields?: LogFields): void
  error(category: LogCategory, message: string, fields?: LogFields): void
  /** A logger whose lines carry these fields too. */
  child(fields: LogFields): Logger
}

export interface LoggerOptions {
  readonly process: string
  readonly level?: 'debug' | 'info' | 'warn' | 'error' | 'silent'
  readonly format?: 'json' | 'pretty'
  /** Where lines go; standard output unless a caller says otherwise. */
  readonly stream?: NodeJS.WritableStream
}

const MAX_STRING_CHARS = 2_000
const MAX_FIELDS = 40
const MAX_SHORTENED_CHARS = 500
const MAX_LINE_BYTES = 8_192
const SECRET_NAME = /pass(word)?|secret|token|authorization|cookie|private|pepper|api[-_]?key|credential/i

/** A logger of one process. */
export function createLogger(options: LoggerOptions): Logger {
  const silent = options.level === 'silent'
  const render = options.format === 'pretty' ? renderPretty : renderJson
  const base = winston.createLogger({
    level: silent ? 'error' : (options.level ?? 'info'),
    silent,
    levels: { error: 0, warn: 1, info: 2, debug: 3 },
    format: winston.format.printf((info) => render(info['record'] as LogRecord)),
    transports: [new winston.transports.Stream({ stream: options.stream ?? process.stdout, eol: '\n' })],
  })

  const make = (inherited: LogFields): Logger => {
    const write =
      (level: LogRecord['level']) =>
      (category: LogCategory, message: string, fields: LogFields = {}) => {
        if (!base.isLevelEnabled(level)) return
        const record: LogRecord = {
          at: new Date(),
          level,
          process: options.process,
          category,
          message: clean(message),
          fields: cleanFields({ ...inherited, ...fields }),
        }
        base.log({ level, message: '', record })
      }
    return {
      debug: write('debug'),
      info: write('info'),
      warn: write('warn'),
      error: write('error'),
      child: (fields) => make({ ...inherited, ...fields }),
    }
  }
  return make({})
}

/**
 * What packages write on the console, and Node's own warnings, become lines of the log. For a process's main, once; the
 * answer undoes it.
 */
export function captureConsole(log: Logger): () => void {
  const { warn, error } = console
  const nodes = process.listeners('warning')
  const onWarning = (warning: Error) => log.warn('lifecycle', 'Node warns', { error: warning })
  Object.assign(console, {
    warn: (...parts: unknown[]) => log.warn('lifecycle', format(...parts)),
    error: (...parts: unknown[]) => log.error('lifecycle', format(...parts)),
  })
  process.removeAllListeners('warning').on('warning', onWarning)
  return () => {
    Object.assign(console, { warn, error })
    process.off('warning', onWarning)
    for (const listener of nodes) process.on('warning', listener)
  }
}

interface LogRecord {
  readonly at: Date
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly process: string
  readonly category: LogCategory
  readonly message: string
  readonly fields: Record<string, unknown>
}

function renderJson(record: LogRecord): string {
  const { error, ...labels } = record.fields
  const line = {
    '@timestamp': record.at.toISOString(),
    'log.level': record.level,
    message: record.message,
    'event.category': record.category,
    'service.name': `wmoc-${record.process}`,
    'process.pid': process.pid,
    ...(error === undefined ? {} : (error as object)),
    ...(Object.keys(labels).length === 0 ? {} : { labels }),
  }
  const text = JSON.stringify(line)
  if (Buffer.byteLength(text) <= MAX_LINE_BYTES) return text
  return JSON.stringify({ ...shorten(line), labels: { truncated: true } })
}

/** Cuts every text of a line that came out too long. */
function shorten(line: object): object {
  return Object.fromEntries(
    Object.entries(line).map(([name, value]: [string, unknown]) => [
      name,
      typeof value === 'string' ? value.slice(0, MAX_SHORTENED_CHARS).toWellFormed() : value,
    ]),
  )
}

function renderPretty(record: LogRecord): string {
  const time = record.at.toISOString().slice(11, 23)
  const fields = Object.entries(record.fields)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
  const head = `${time} ${record.level.padEnd(5)} ${record.process} ${record.category}: ${record.message}`
  return (fields === '' ? head : `${head} ${fields}`).slice(0, MAX_LINE_BYTES)
}

/** Escapes control, line-breaking and direction-changing characters, and bounds the length. */
function clean(text: string): string {
  const bounded = text.length > MAX_STRING_CHARS ? `${text.slice(0, MAX_STRING_CHARS)}…` : text
  return bounded
    .toWellFormed()
    .replaceAll(
      /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
      (character) => `\\u${character.codePointAt(0)!.toString(16).padStart(4, '0')}`,
    )
}

function cleanFields(fields: LogFields): Record<string, unknown> {
  const result: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(fields).slice(0, MAX_FIELDS)) {
    const key = clean(name).slice(0, 100)
    result[key] = SECRET_NAME.test(name) ? '[redacted]' : cleanValue(value, name)
  }
  return result
}

function cleanValue(value: unknown, name: string): unknown {
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return value
  if (value === undefined) return undefined
  if (typeof value === 'string') return clean(value)
  if (value instanceof Error) {
    const fields = {
      'error.type': clean(value.name),
      'error.message': clean(value.message),
      'error.stack_trace': clean(value.stack ?? ''),
    }
    return name === 'error' ? fields : fields['error.message']
  }
  if (value instanceof Date) return value.toISOString()
  return clean(stringify(value))
}

function stringify(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (name, inner: unknown) => (SECRET_NAME.test(name) ? '[redacted]' : inner)) ??
      String(value)
    )
  } catch {
    return '[not serialisable]'
  }
}

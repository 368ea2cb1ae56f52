import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { captureConsole, createLogger, type LoggerOptions } from './log.ts'

function capture(options: Partial<LoggerOptions> = {}) {
  let text = ''
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString()
      done()
    },
  })
  const log = createLogger({ process: 'test', level: 'debug', format: 'json', stream, ...options })
  return { log, text: () => text, lines: () => text.split('\n').filter((line) => line !== '') }
}

const HOSTILE = [
  'a\r\n{"log.level":"error","message":"forged"}',
  '\u001B[2J\u001B[31mred',
  '"},{"message":"breakout',
  '\u2028\u2029\u202Eevil',
  '\u0000\u009B',
  'x'.repeat(10_000_000),
  '\uD800 lone',
  '\u001B'.repeat(5_000),
  '文'.repeat(5_000),
  '😀'.repeat(5_000),
]

test('writes one valid JSON object of at most 8 KiB a line, whatever a device says', () => {
  const { log, lines } = capture()
  for (const text of HOSTILE) {
    log.info('tunnel', text, { firmware: text, nested: { deep: [text] } })
    log.error('tunnel', 'failed', { error: new Error(text) })
  }
  assert.equal(lines().length, HOSTILE.length * 2)
  for (const line of lines()) {
    assert.ok(Buffer.byteLength(line) <= 8_192, `${Buffer.byteLength(line)}`)
    const parsed = JSON.parse(line) as Record<string, unknown>
    assert.equal(parsed['service.name'], 'wmoc-test')
    // oxlint-disable-next-line no-control-regex -- the point of the test
    assert.doesNotMatch(line, /[\u0000-\u001F\u007F-\u009F\u2028\u2029\u202E]/)
  }
})

test('keeps a hostile string on one line in readable form too', () => {
  const { log, lines } = capture({ format: 'pretty' })
  for (const text of HOSTILE) log.info('tunnel', text, { text })
  assert.equal(lines().length, HOSTILE.length)
  // oxlint-disable-next-line no-control-regex -- the point of the test
  for (const line of lines()) assert.doesNotMatch(line, /[\u0000-\u001F\u007F-\u009F]/)
})

test('never writes what a field with a secret name holds, at any depth', () => {
  const { log, text } = capture()
  log.child({ authorization: 'Bearer s3cr3t' }).warn('auth', 'refused', {
    password: 's3cr3t',
    refreshToken: 's3cr3t',
    body: { user: { api_key: 's3cr3t', note: 'kept' } },
  })
  assert.doesNotMatch(text(), /s3cr3t/)
  assert.match(text(), /kept/)
})

test('uses ECS names and leaves out what is below the level', () => {
  const { log, lines } = capture({ level: 'warn' })
  log.info('http', 'not this')
  log.warn('http', 'this', { count: 3 })
  assert.equal(lines().length, 1)
  const line = JSON.parse(lines()[0]!) as Record<string, unknown>
  assert.equal(line['log.level'], 'warn')
  assert.equal(line['event.category'], 'http')
  assert.equal(line['message'], 'this')
  assert.deepEqual(line['labels'], { count: 3 })
  assert.ok(!Number.isNaN(Date.parse(line['@timestamp'] as string)))
})

test('what packages write on the console becomes lines of the log', async () => {
  const { log, lines } = capture()
  const undo = captureConsole(log)
  try {
    console.warn('killing %s\r\n{"forged":1}', 'a connection')
    console.error(new Error('broken'))
    process.emitWarning('old', 'DeprecationWarning')
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    undo()
  }
  const records = lines().map((line) => JSON.parse(line) as Record<string, string>)
  assert.equal(records.length, 3)
  assert.equal(records[0]!['message'], String.raw`killing a connection\u000d\u000a{"forged":1}`)
  assert.match(records[1]!['message']!, /^Error: broken/)
  assert.equal(records[2]!['error.type'], 'DeprecationWarning')
})

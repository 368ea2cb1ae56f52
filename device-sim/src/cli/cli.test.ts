import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { CONTROLLER_ID, SECRET, startServerSide, type ServerSide } from '../testing/server-side.ts'
import { parseOptions } from './options.ts'
import { createScreen, printable } from './screen.ts'

const MAIN = join(import.meta.dirname, '../main.ts')
const folder = mkdtempSync(join(tmpdir(), 'wmoc cli '))
let server: ServerSide
before(async () => {
  server = await startServerSide()
})
after(async () => {
  await server.stop()
  rmSync(folder, { recursive: true })
})

function run(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = { out: '', err: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.out += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.err += text))
  return { child, output, ended: once(child, 'close').then(([code]) => code as number) }
}

suite('options', () => {
  test('have defaults that fit the one-machine start', () => {
    const parsed = parseOptions([])
    assert.ok(parsed.kind === 'run')
    assert.equal(parsed.options.url, 'ws://localhost:8080/tunnel')
    assert.deepEqual(parsed.options.faults, [])
  })

  test('are refused with the reason', () => {
    const reasons: [string[], RegExp][] = [
      [['--url', 'http://x'], /--url: must begin with ws:/],
      [['--upstream', 'ftp://x'], /--upstream: must begin with http:/],
      [['--fleet', '0'], /--fleet/],
      [['--faults', 'slow,loud'], /--faults/],
      [['--mac', 'hello'], /--mac: must look like/],
      [['--nonsense'], /nonsense/],
      [['surplus'], /surplus/],
      [['--credentials', 'x'], /--fleet/],
      [['--fleet', '2', '--state', 'x'], /one controller/],
      [['--allow-port', '81'], /goes with --upstream/],
      [['--upstream', 'http://x', '--allow-port', '0'], /--allow-port/],
      [['--upstream', 'http://x', '--ports', '81'], /--allow-port/],
    ]
    for (const [args, reason] of reasons) {
      const parsed = parseOptions(args)
      assert.ok(parsed.kind === 'error', args.join(' '))
      assert.match(parsed.message, reason)
    }
  })

  test('read ports, one by one or in a list', () => {
    const agent = parseOptions(['--upstream', 'http://x', '--allow-port', '81', '--allow-port', '8080'])
    assert.ok(agent.kind === 'run')
    assert.deepEqual(agent.options['allow-port'], [81, 8_080])
    const own = parseOptions(['--ports', '81,8080'])
    assert.ok(own.kind === 'run')
    assert.deepEqual(own.options.ports, [81, 8_080])
  })

  test('read a list of faults', () => {
    const parsed = parseOptions(['--fleet', '3', '--faults', 'slow,silent'])
    assert.ok(parsed.kind === 'run')
    assert.deepEqual([parsed.options.fleet, parsed.options.faults], [3, ['slow', 'silent']])
  })
})

suite('the screen', () => {
  function screen(options: { json?: boolean; qr?: boolean; isTTY?: boolean }) {
    const written: string[] = []
    const output = { write: (text: string) => written.push(text), isTTY: options.isTTY }
    const { json = false, qr = false } = options
    return { ...createScreen(output, { json, qr, nowMs: () => 0 }), written }
  }

  test('lets no text of the peer command the terminal', () => {
    assert.equal(printable('a\u001b[2Jb\r\nc\u202e\u2028d'), 'a·[2Jb··c··d')
    const { line, written } = screen({})
    line('closed', { reason: '\u001b]0;x\u0007' })
    assert.deepEqual(written, ['00:00:00 closed reason=·]0;x·\n'])
  })

  test('draws the QR code on a terminal or when asked', () => {
    for (const options of [{ isTTY: true }, { qr: true }]) {
      const { qr, written } = screen(options)
      qr('http://localhost')
      assert.match(written[0] ?? '', /[▀▄█]/)
    }
    const plain = screen({})
    plain.qr('http://localhost')
    assert.deepEqual(plain.written, [])
  })

  test('replaces the progress on a terminal and writes lines elsewhere', () => {
    const terminal = screen({ isTTY: true })
    terminal.progress('1')
    terminal.progress('2')
    assert.deepEqual(terminal.written, ['1', '\r\u001b[K', '2'])
    const plain = screen({})
    plain.progress('1')
    assert.deepEqual(plain.written, ['1\n'])
  })

  test('writes one JSON object per event', () => {
    const { line, written } = screen({ json: true })
    line('registered', { epoch: 1 })
    assert.deepEqual(JSON.parse(written[0] ?? ''), { event: 'registered', at: 0, epoch: 1 })
  })
})

suite('the program', () => {
  test('prints its help and knows bad arguments', async () => {
    const help = run('--help')
    assert.equal(await help.ended, 0)
    assert.match(help.output.out, /--upstream/)
    const bad = run('--fleet', 'many')
    assert.equal(await bad.ended, 2)
    assert.match(bad.output.err, /--fleet/)
  })

  test('shows the code, keeps its credentials and closes with 1000 on Ctrl-C', async () => {
    const state = join(folder, 'a device.json')
    const { child, output, ended } = run('--url', server.url, '--state', state, '--qr')
    const peer = await server.accept()
    await peer.next('register')
    peer.send({
      type: 'activation_required',
      userCode: 'BCDF-GHJK',
      verificationUri: 'http://localhost/activate',
      verificationUriComplete: 'http://localhost/activate?code=BCDF-GHJK',
      expiresIn: 900,
    })
    peer.register({ controller_id: CONTROLLER_ID, secret: SECRET })
    await peer.next('metrics')
    child.kill('SIGINT')
    assert.deepEqual([await ended, await peer.closed], [0, 1000])
    assert.match(output.out, /activation required code=BCDF-GHJK/)
    assert.match(output.out, /[▀▄█]{10}/)
    assert.ok(!output.out.includes(SECRET))
    assert.ok(existsSync(state))
    const again = run('--url', server.url, '--state', state, '--json')
    const second = await server.accept()
    assert.equal((await second.next('register')).credentials?.secret, SECRET)
    second.socket.close(4403, 'revoked')
    assert.equal(await again.ended, 3)
    assert.match(again.output.out, /"event":"stopped"/)
  })

  test('runs a fleet and sums it up', async () => {
    const { child, output, ended } = run('--url', server.url, '--fleet', '2', '--ramp', '100')
    const peers = [await server.accept(), await server.accept()]
    for (const peer of peers) {
      await peer.next('register')
      peer.register({ controller_id: CONTROLLER_ID, secret: SECRET })
    }
    await Promise.all(peers.map((peer) => peer.next('log')))
    child.kill('SIGTERM')
    assert.equal(await ended, 0)
    assert.match(output.out, /summary started=2 online=2 peak=2/)
  })
})

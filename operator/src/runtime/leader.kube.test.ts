import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { eventually, quiet, startServerWithWidgets } from '#src/testing/api-server.ts'
import { startWire } from '#src/testing/wire.ts'
import { createLeaderElection } from './leader.ts'
import { Leases } from './resources.ts'

let server: Awaited<ReturnType<typeof startServerWithWidgets>>
before(async () => {
  server = await startServerWithWidgets()
})
after(() => server.stop())

const leaseOf = (name: string) => server.connect().get(Leases, { namespace: 'default', name })

/** A process of `campaigner.ts`; `acts` are the moments at which it held itself for the leader, ns. */
function startCampaigner(name: string, durationMs: number, renewMs: number) {
  const script = join(import.meta.dirname, '../testing/campaigner.ts')
  const args = [script, server.kubeconfig, name, String(durationMs), String(renewMs)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const acts: bigint[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) if (line.startsWith('acts ')) acts.push(BigInt(line.slice(5)))
  })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  return { child, acts, ended, hasActed: () => acts.length > 0 }
}

const lead = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))

describe('one leader', { concurrency: true }, () => {
  test('K2: a leader that is killed is replaced within 15 s, and not before its lease is over', async (t) => {
    const first = startCampaigner('killed', 10_000, 2_000)
    t.after(() => first.child.kill('SIGKILL'))
    await eventually('the first leads', first.hasActed)
    const second = startCampaigner('killed', 10_000, 2_000)
    t.after(() => second.child.kill('SIGKILL'))
    await eventually('the second has looked', async () => (await leaseOf('killed')) !== null)
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    assert.equal(second.hasActed(), false)
    const killedAt = process.hrtime.bigint()
    first.child.kill('SIGKILL')
    await eventually('the second leads', second.hasActed)
    const awayMs = Number(second.acts[0]! - killedAt) / 1e6
    assert.ok(awayMs <= 15_000, `nobody led for ${awayMs} ms`)
    const lease = await leaseOf('killed')
    assert.match(lease?.spec?.holderIdentity ?? '', new RegExp(`^process-${second.child.pid}_`))
    assert.equal(lease?.spec?.leaseTransitions, 1)
    second.child.kill('SIGTERM')
    await second.ended
    assert.equal((await leaseOf('killed'))?.spec?.holderIdentity, '', 'the lease is given back')
  })

  test('K2: a leader that was stopped and goes on does not act beside the one that took over', async (t) => {
    const first = startCampaigner('stopped', 3_000, 500)
    t.after(() => first.child.kill('SIGKILL'))
    await eventually('the first leads', first.hasActed)
    const second = startCampaigner('stopped', 3_000, 500)
    t.after(() => second.child.kill('SIGKILL'))
    first.child.kill('SIGSTOP')
    await eventually('the second leads', second.hasActed)
    first.child.kill('SIGCONT')
    await eventually('both ran on for a while', () => second.acts.length > 200)
    const last = first.acts.at(-1)!
    assert.ok(last < second.acts[0]!, `the first acted ${last - second.acts[0]!} ns after the second began`)
    assert.equal((await leaseOf('stopped'))?.spec?.leaseTransitions, 1)
    for (const { child } of [first, second]) child.kill('SIGTERM')
    await Promise.all([first.ended, second.ended])
  })

  test('K2: a leader that cannot reach the server stops before another begins, and its work is told', async (t) => {
    const wire = await startWire(Number(new URL(server.access.server).port))
    t.after(() => wire.stop())
    const access = { ...server.access, server: `https://127.0.0.1:${wire.port}` }
    const options = {
      lease: { namespace: 'default', name: 'cut' },
      durationMs: 3_000,
      renewMs: 500,
      log: quiet,
    }
    const cutOff = createLeaderElection({
      ...options,
      client: server.connect({ access, timeoutMs: 500 }),
      identity: 'cut-off',
    })
    const other = createLeaderElection({ ...options, client: server.connect(), identity: 'other' })
    t.after(() => Promise.all([cutOff.stop(), other.stop()]))
    let hasEnded = false
    cutOff.start((signal) => lead(signal).then(() => void (hasEnded = true)))
    await eventually('it leads', cutOff.isLeader)
    other.start(lead)
    let together = 0
    const looking = setInterval(() => {
      if (cutOff.isLeader() && other.isLeader()) together += 1
    }, 5)
    t.after(() => clearInterval(looking))
    wire.silence()
    wire.setOpen(false)
    await eventually('the other leads', other.isLeader)
    assert.equal(together, 0)
    assert.equal(hasEnded, true, 'what led was aborted before')
    wire.setOpen(true)
    wire.cut()
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    assert.equal(cutOff.isLeader(), false)
    await other.stop()
    await eventually('it leads again when the other gives the lease back', cutOff.isLeader)
  })

  test('work that ends by itself does not make it campaign without pause', async (t) => {
    let requests = 0
    const client = server.connect({ onRequest: () => (requests += 1) })
    const election = createLeaderElection({
      client,
      lease: { namespace: 'default', name: 'idle' },
      identity: 'idle',
      renewMs: 500,
      log: quiet,
    })
    t.after(() => election.stop())
    election.start(() => Promise.reject(new Error('cannot work')))
    await new Promise((resolve) => setTimeout(resolve, 2_000))
    assert.ok(requests >= 2 && requests <= 20, `${requests} requests in 2 s`)
  })
})

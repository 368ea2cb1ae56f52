import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { suite, test } from 'node:test'
import { createControlPlane } from './client.ts'
import { startLostReplica, startReplica } from './testing/replicas.ts'

const IDS = {
  controllerId: '0192f0c1-2d3e-7a4b-8c5d-6e7f80910a2b',
  userId: '0192f0c1-2d3e-7a4b-8c5d-6e7f80910a2c',
}
const clientOf = (url: string) => createControlPlane({ url, token: 'internal', tracing: null })
const look = (client: ReturnType<typeof clientOf>) => client.call('access/check', { checks: [IDS] })
const refusedAsAway = { code: 'dependency_unavailable' }

/** Connections that the lost replica leaves open take up its whole backlog. */
async function fill(port: number, count: number): Promise<Socket[]> {
  const sockets = Array.from({ length: count }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  await new Promise((resolve) => setTimeout(resolve, 300))
  return sockets
}

suite('one of two replicas of the API is lost, and still routed to', () => {
  for (const [what, backlog] of [
    ['accepts connections and never answers', 511],
    ['is silent when it is connected to', 1],
  ] as const)
    test(`look-ups are answered where it ${what}`, async () => {
      const replica = await startReplica((path) =>
        path.endsWith('jwks') ? { keys: [] } : { roles: ['viewer'] },
      )
      const lost = await startLostReplica(replica.port, backlog)
      const full = backlog === 1 ? await fill(replica.port, 32) : []
      const client = clientOf(replica.url)
      try {
        // At once, so that each opens a connection of its own: about half of them to the lost replica.
        const answers = await Promise.all(Array.from({ length: 6 }, () => look(client)))
        assert.ok(answers.every(({ roles }) => roles[0] === 'viewer'))
        for (let count = 0; count < 6; count++) assert.deepEqual(await client.jwks(), { keys: [] })
      } finally {
        await client.close()
        for (const socket of full) socket.destroy()
        await Promise.all([replica.stop(), lost.stop()])
      }
    })

  test('what makes a secret is never asked twice where the first time may have worked', async () => {
    const replica = await startReplica(() => ({ outcome: 'refused', reason: 'invalid' }))
    const lost = await startLostReplica(replica.port, 511)
    const client = clientOf(replica.url)
    try {
      const device = { mac: null, firmwareVersion: null, model: null, metadata: {}, remoteAddress: '::1' }
      const outcomes: string[] = []
      const calls = Array.from({ length: 12 }, () =>
        client.call('activations/redeem', { token: 't', device }).then(
          ({ outcome }) => outcomes.push(outcome),
          (error: { code: string }) => outcomes.push(error.code),
        ),
      )
      // Longer than a look-up waits before it is repeated.
      await new Promise((resolve) => setTimeout(resolve, 1_500))
      await client.close()
      await Promise.all(calls)
      const answered = outcomes.filter((outcome) => outcome === 'refused').length
      assert.equal(replica.asked.length, answered)
      assert.equal(outcomes.filter((outcome) => outcome === 'dependency_unavailable').length, 12 - answered)
    } finally {
      await client.close()
      await Promise.all([replica.stop(), lost.stop()])
    }
  })
})

suite('the API is away', () => {
  test('a call says so soon where nothing listens, and is answered again once it is back', async () => {
    const replica = await startReplica(() => ({ roles: [null] }))
    await replica.stop()
    const client = clientOf(replica.url)
    try {
      await assert.rejects(look(client), refusedAsAway)
      const back = await startReplica(() => ({ roles: ['owner'] }))
      const other = clientOf(back.url)
      assert.deepEqual((await look(other)).roles, ['owner'])
      await other.close()
      await back.stop()
    } finally {
      await client.close()
    }
  })

  test('calls under way end when the client is closed', async () => {
    const replica = await startReplica(() => ({ roles: [null] }))
    const lost = await startLostReplica(replica.port, 511)
    await replica.stop()
    const client = clientOf(replica.url)
    const calls = Array.from({ length: 3 }, () => assert.rejects(look(client), refusedAsAway))
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    await client.close()
    await Promise.all(calls)
    await lost.stop()
  })
})

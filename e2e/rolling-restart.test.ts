/** Three shards, each replaced and each restarted, while people work: nobody notices. The long form is `npm run soak`. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { rollShards } from '../scripts/soak/rolling.ts'
import { useFleetStage } from './support/fleet-stage.ts'

suite('a rolling restart of three shards under load', () => {
  const on = useFleetStage({
    shards: 3,
    devices: 60,
    gatewayEnv: { DRAIN_WINDOW_MS: '500', DRAIN_DEADLINE_MS: '6000' },
    onDeath: (error) => {
      throw error
    },
  })

  for (const how of ['replace', 'restart'] as const) {
    test(`F7: no request fails and each POST arrives once, by ${how}`, async () => {
      const { load, rounds, ...report } = await rollShards(on.stage, on.fleet, {
        load: { perSecond: 50, streams: 4, sockets: 4, uploads: 6, uploadMs: 1_500 },
        rounds: [how],
        restMs: 1_000,
      })
      assert.deepEqual(load.failures, [])
      assert.deepEqual([report.lost, report.repeated, report.invariants], [[], [], []])
      assert.ok(load.requests > 500 && load.answeredPosts.length >= load.posts)
      for (const users of [load.streams, load.sockets, load.uploads]) {
        assert.deepEqual([users.cut, users.refused, users.problems], [0, 0, []])
        assert.ok(users.messages > 0)
      }
      assert.ok(
        load.streams.endedCleanly > 0 && load.sockets.endedCleanly > 0,
        'they were told to come again',
      )
      assert.deepEqual(rounds[0]!.exitCodes, [0, 0, 0])
      assert.ok(rounds[0]!.mostPerShard <= 1, 'a device connects anew at most once for each shard that goes')
    })
  }
})

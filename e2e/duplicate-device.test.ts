/** Two copies of one credential on two shards: both are sent away, neither is served, and the owner is told. */
import { after, before, suite, test } from 'node:test'
import { createMemoryStore } from '@wmoc/device-sim/device/store'
import { createSimulator } from '@wmoc/device-sim/simulator'
import type { Simulator } from '@wmoc/device-sim/simulator'
import { Client } from 'pg'
import type { FleetDevice } from '../scripts/soak/fleet.ts'
import { openStage } from '../scripts/soak/stage.ts'
import type { Stage } from '../scripts/soak/stage.ts'
import { eventually } from './support/stack.ts'

const CONFLICT = 4423

suite('two copies of one credential on two shards', () => {
  let stage: Stage
  let device: FleetDevice
  const copies: { simulator: Simulator; codes: number[] }[] = []

  before(async () => {
    stage = await openStage({ shards: 2 })
    device = (await stage.provision(1))[0]!
  })
  after(async () => {
    await Promise.all(copies.map(({ simulator }) => simulator.stop()))
    await stage?.stop()
  })

  /** A device that comes back at once, as a stolen copy would, whatever it is told. */
  function connect(port: number, mac: string): void {
    const { controller_id, secret } = device
    const codes: number[] = []
    const simulator = createSimulator({
      url: `ws://127.0.0.1:${port}/tunnel`,
      protocol: 'v1',
      store: createMemoryStore({ current: { controller_id, secret }, next: null, mac }),
      description: { boot_id: `booted-${mac}` },
      reportEveryMs: 0,
    })
    simulator.events.on('closed', ({ code }) => {
      codes.push(code)
      if (code === CONFLICT) return
      void simulator.stop().then(() => {
        if (!copies.some((copy) => copy.codes.includes(CONFLICT))) connect(port, mac)
      })
    })
    simulator.start()
    copies.push({ simulator, codes })
  }

  test('D9: both are refused with 4423 on both shards, and the owner is told', async () => {
    const [one, other] = stage.stack.gateways().map(({ port }) => port) as [number, number]
    connect(one, '02:00:00:00:00:01')
    await eventually(async () => copies[0]!.simulator.isOnline, 'the first copy online')
    connect(other, '02:00:00:00:00:02')
    await eventually(
      async () => copies.some(({ codes }) => codes.includes(CONFLICT)),
      'a copy refused',
      120_000,
    )
    for (const port of [one, other]) connect(port, `02:00:00:00:00:0${port === one ? 1 : 2}`)
    const late = copies.slice(-2)
    await eventually(
      async () => late.every(({ codes }) => codes[0] === CONFLICT),
      'both refused on both shards',
    )
    await eventually(
      async () => (await stage.ask(one, device.controller_id, '/')).status === 503,
      'neither served',
    )
    const client = new Client({ connectionString: stage.stack.databaseUrl })
    await client.connect()
    try {
      await eventually(
        async () =>
          (
            await client.query(
              `SELECT 1 FROM notifications WHERE type = 'controller_auth_failed' AND data->>'reason' = 'conflict'`,
            )
          ).rowCount,
        'the owner told',
      )
    } finally {
      await client.end()
    }
  })
})

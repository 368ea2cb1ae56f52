/** CPU of a real Redis for what the model counts: lease rounds, and renewals of entries in batches. */
import { createLogger } from '@wmoc/platform/log'
import { openStore } from '@wmoc/platform/open-store'
import type { Store } from '@wmoc/platform/store'
import { Redis } from 'ioredis'
import { PRESENCE } from '../../tunnel-gateway/src/device/presence.ts'

export interface StoreCost {
  readonly renewedEntryUs: number
  /** Reading the leases of 64 shards and keeping one. */
  readonly leaseRoundUs: number
}

const BATCHES = 200
const ROUNDS = 3_000
const SHARDS = 64

/** @param url An empty Redis that does nothing else. */
export async function measureStore(url: string): Promise<StoreCost> {
  const log = createLogger({ process: 'bench', level: 'silent' })
  const store = openStore({ url, log, name: 'model' })
  const redis = new Redis(url)
  const cpuSeconds = async () => {
    const info = await redis.info('cpu')
    const read = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)![1])
    return read('used_cpu_user') + read('used_cpu_sys')
  }
  const costUs = async (work: () => Promise<void>, count: number) => {
    const before = await cpuSeconds()
    await work()
    return ((await cpuSeconds()) - before) * (1e6 / count)
  }
  await renewAll(store)
  const renewedEntryUs = await costUs(() => renewAll(store), BATCHES * PRESENCE.batch)
  const leaseRoundUs = await costUs(() => keepLeases(store), ROUNDS)
  await redis.quit()
  await store.close()
  return { renewedEntryUs, leaseRoundUs }
}

async function renewAll(store: Store): Promise<void> {
  for (let batch = 0; batch < BATCHES; batch++) {
    const entries = Array.from({ length: PRESENCE.batch }, (_, at) => ({
      controllerId: `00000000-0000-7000-8000-${(batch * PRESENCE.batch + at).toString().padStart(12, '0')}`,
      epoch: 1,
    }))
    await store.renewPresence('gateway-0@model', entries, PRESENCE.ttlMs)
  }
}

async function keepLeases(store: Store): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    await store.leases('model')
    const value = 'x'.repeat(180)
    await store.keepLease('model', { id: `gateway-${round % SHARDS}@0123456789`, value }, 60_000)
  }
}

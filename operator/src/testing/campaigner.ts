/**
 * A process that campaigns for a lease and prints `acts <ns>`, on the machine's monotonic clock, whenever it looks and may
 * act. Arguments: kubeconfig, name of the lease, its duration and renewal in ms. SIGTERM ends it in order.
 */
import { createLogger } from '@wmoc/platform/log'
import { createKubeClient } from '#src/runtime/http-client.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import { createLeaderElection } from '#src/runtime/leader.ts'

const [kubeconfig, name, durationMs, renewMs] = process.argv.slice(2) as [string, string, string, string]
const client = createKubeClient({ access: await loadClusterAccess({}, { kubeconfig }), timeoutMs: 2_000 })
const election = createLeaderElection({
  client,
  lease: { namespace: 'default', name },
  identity: `process-${process.pid}`,
  durationMs: Number(durationMs),
  renewMs: Number(renewMs),
  log: createLogger({ process: 'operator', level: 'silent' }),
})
election.start(
  (signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })),
)
const looking = setInterval(() => {
  if (election.isLeader()) process.stdout.write(`acts ${process.hrtime.bigint()}\n`)
}, 10)
process.stdout.write('campaigns\n')
process.once('SIGTERM', () => {
  void election.stop().then(() => {
    clearInterval(looking)
    return client.close()
  })
})

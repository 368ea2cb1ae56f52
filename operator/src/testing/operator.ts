/** An operator in this process, as its own process would run it. For tests of kinds. */
import { composeOperator } from '#src/compose.ts'
import { config } from '#src/config.ts'
import type { Kind } from '#src/runtime/kind.ts'
import { loadClusterAccess } from '#src/runtime/kubeconfig.ts'
import { quiet } from './api-server.ts'

export interface TestOperator {
  stop(): Promise<void>
}

/** Works at once, without an election. @param env More of its environment. */
export async function startOperator(
  kubeconfig: string,
  kinds: readonly Kind[],
  env: Readonly<Record<string, string>> = {},
): Promise<TestOperator> {
  const access = await loadClusterAccess({}, { kubeconfig })
  const settings = config.load({
    ADMIN_PORT: '0',
    LEADER_ELECTION: 'false',
    API_REQUESTS_PER_SECOND: '200',
    ...env,
  })
  const { lifecycle } = composeOperator(settings, access, quiet, kinds)
  await lifecycle.start()
  return { stop: () => lifecycle.stop() }
}

/**
 * Two conditions for programs that know no TunnelGateway: `Ready` and `Stalled`, as kstatus reads them, and with it
 * `helm --wait`, Flux and Argo CD. Made of the other conditions. Pure.
 * Source: https://github.com/kubernetes-sigs/cli-utils/tree/master/pkg/kstatus
 */
import type { ConditionChange } from '#src/runtime/conditions.ts'

/** Nothing goes on until a person changes the spec: whoever waits is told at once. */
const NEEDS_CHANGE: ReadonlySet<string> = new Set([
  'InvalidSpec',
  'InvalidName',
  'InvalidPodTemplate',
  'ApplyRefused',
  'RolledBack',
  'RolloutFailed',
])

/**
 * @param changes `Reconciled`, and `Progressing` where the spec could be read
 * @param shards how many serve, and how many are asked for
 */
export function readiness(
  changes: readonly ConditionChange[],
  shards: { readonly serving: number; readonly wanted: number } = { serving: 0, wanted: 0 },
): ConditionChange[] {
  const by = (type: string) => changes.find((change) => change.type === type)
  const [reconciled, progressing] = [by('Reconciled'), by('Progressing')]
  const obstacle =
    reconciled?.status === 'True'
      ? progressing?.reason === 'Complete'
        ? undefined
        : progressing
      : reconciled
  if (obstacle !== undefined) {
    const { reason, message } = obstacle
    const isStalled = NEEDS_CHANGE.has(reason)
    const ready = { type: 'Ready', status: 'False', reason, message } as const
    return [ready, isStalled ? { type: 'Stalled', status: 'True', reason, message } : GOES_ON]
  }
  const message = `${shards.serving} of ${shards.wanted} shards serve`
  if (shards.serving < shards.wanted)
    return [{ type: 'Ready', status: 'False', reason: 'TooFewShards', message }, GOES_ON]
  return [{ type: 'Ready', status: 'True', reason: 'ShardsReady', message }, GOES_ON]
}

const GOES_ON: ConditionChange = {
  type: 'Stalled',
  status: 'False',
  reason: 'GoesOn',
  message: 'nothing waits for a change of the spec',
}

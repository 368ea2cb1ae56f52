import type { Alert } from '../alert.ts'

const ON_ITS_WAY = 'reason=~"RollingOut|RollingBack|WaitingForShards|Verifying|Paused|ScaleInBlocked"'

export const rolloutStuck: Alert = {
  name: 'RolloutStuck',
  severity: 'warning',
  for: '1h',
  threshold: 0,
  thresholdMeaning: 'conditions that say so',
  expr: ({ threshold, select }) => {
    const conditions = (...matchers: string[]) =>
      select('wmoc_operator_object_conditions', 'kind="TunnelGateway"', ...matchers)
    return `max by (object_namespace, object) (${conditions('type="Progressing"', ON_ITS_WAY)} or ${conditions('type="Stalled"', 'status="True"')}) > ${threshold}`
  },
  summary: 'A gateway does not become what its spec says.',
  description:
    'The TunnelGateway {{ $labels.object }} in {{ $labels.object_namespace }} has not become what its spec says.',
  tests: {
    firing: {
      series: {
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Progressing",status="True",reason="RollingOut",object_namespace="w",object="gateway"}':
          '1x30 stale',
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Progressing",status="False",reason="RolledBack",object_namespace="w",object="gateway"}':
          '_x30 1x70',
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Stalled",status="True",reason="RolledBack",object_namespace="w",object="gateway"}':
          '_x30 1x70',
      },
      at: '80m',
      labels: { object_namespace: 'w', object: 'gateway' },
      description: 'The TunnelGateway gateway in w has not become what its spec says.',
    },
    silent: {
      series: {
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Progressing",status="True",reason="RollingOut",object_namespace="w",object="gateway"}':
          '1x30 stale',
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Progressing",status="False",reason="Complete",object_namespace="w",object="gateway"}':
          '_x30 1x70',
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Progressing",status="True",reason="RollingOut",object_namespace="w",object="other"}':
          '_x40 1x60',
        'wmoc_operator_object_conditions{namespace="o",job="operator",instance="a",kind="TunnelGateway",type="Stalled",status="False",reason="GoesOn",object_namespace="w",object="gateway"}':
          '1x100',
      },
      at: '80m',
    },
  },
}

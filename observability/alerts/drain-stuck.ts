import type { Alert } from '../alert.ts'

export const drainStuck: Alert = {
  name: 'DrainStuck',
  severity: 'warning',
  for: '20m',
  threshold: 0,
  thresholdMeaning: 'tunnels that are left',
  expr: ({ threshold, select }) =>
    `sum by (namespace, job, instance) (${select('wmoc_gateway_tunnels')}) > ${threshold} and on (namespace, job, instance) ${select('wmoc_gateway_draining')} == 1`,
  summary: 'A gateway shard drains and does not become empty.',
  description:
    'Shard {{ $labels.instance }} of {{ $labels.job }} in {{ $labels.namespace }} drains and still holds {{ $value }} tunnels.',
  tests: {
    firing: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="1"}': '100x5 7x60',
        'wmoc_gateway_draining{namespace="w",job="gateway",instance="a"}': '0x5 1x60',
      },
      at: '40m',
      labels: { namespace: 'w', job: 'gateway', instance: 'a' },
      description: 'Shard a of gateway in w drains and still holds 7 tunnels.',
    },
    silent: {
      series: {
        'wmoc_gateway_tunnels{namespace="w",job="gateway",instance="a",protocol="1"}': '100x5 7x10 0x50',
        'wmoc_gateway_draining{namespace="w",job="gateway",instance="a"}': '0x5 1x60',
      },
      at: '40m',
    },
  },
}

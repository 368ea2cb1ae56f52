import type { Alert } from '../alert.ts'

export const certificateExpiring: Alert = {
  name: 'CertificateExpiring',
  severity: 'warning',
  for: '1h',
  threshold: 14,
  thresholdMeaning: 'days',
  expr: ({ threshold, select }) =>
    `(min by (namespace, name) (${select('wmoc_api_certificate_expiry_timestamp_seconds')}) - time()) / 86400 < ${threshold}`,
  summary: 'A certificate that people meet ends soon.',
  description:
    'The certificate of {{ $labels.name }} in {{ $labels.namespace }} ends in {{ $value | humanize }} days.',
  tests: {
    firing: {
      series: {
        'wmoc_api_certificate_expiry_timestamp_seconds{namespace="w",job="worker",name="portal"}':
          '439200x20',
      },
      interval: '10m',
      at: '120m',
      labels: { namespace: 'w', name: 'portal' },
      description: 'The certificate of portal in w ends in 5 days.',
    },
    silent: {
      series: {
        'wmoc_api_certificate_expiry_timestamp_seconds{namespace="w",job="worker",name="portal"}':
          '2600000x20',
      },
      interval: '10m',
      at: '120m',
    },
  },
}

import type { DashboardSpec } from '../dashboard.ts'
import { NEAR, ON } from '../dashboard.ts'

const by = (label: string, metric: string) => `sum by (${label}) (rate(${metric}{${ON}}[$__rate_interval]))`

export const controller: DashboardSpec = {
  name: 'controller',
  title: 'Controllers',
  description:
    'What devices do and suffer, all together. No metric names a single one: its own history is in the portal.',
  metric: 'wmoc_gateway_tunnels',
  hasPortal: true,
  rows: [
    {
      title: 'Presence',
      panels: [
        {
          title: 'Offline, by how long',
          description: 'minutes: less than ten; hours: less than a day. A step in minutes is an event.',
          unit: 'short',
          isStacked: true,
          queries: { '{{duration}}': `max by (duration) (wmoc_api_controllers_offline{${NEAR}})` },
        },
        {
          title: 'Why tunnels ended',
          description: 'By close reason. going_away and service_restart are our own doing.',
          unit: 'ops',
          isStacked: true,
          queries: { '{{reason}}': by('reason', 'wmoc_gateway_tunnel_closes_total') },
        },
        {
          title: 'Registrations',
          description:
            'Accepted, by what the device showed: its secret, a token, or a code that was confirmed.',
          unit: 'ops',
          isStacked: true,
          queries: { '{{kind}}': by('kind', 'wmoc_gateway_tunnel_opens_total') },
        },
      ],
    },
    {
      title: 'Refusals',
      panels: [
        {
          title: 'Registrations refused',
          description: 'unauthorized: wrong secret. credential_conflict: two devices, one credential.',
          unit: 'ops',
          isStacked: true,
          queries: { '{{reason}}': by('reason', 'wmoc_gateway_register_failures_total') },
        },
        {
          title: 'Oddities',
          description: 'Messages that an honest device does not send.',
          unit: 'ops',
          queries: { '{{kind}}': by('kind', 'wmoc_gateway_device_oddities_total') },
        },
        {
          title: 'Answers that broke the rules',
          description: 'Responses whose head or length the gateway did not let pass.',
          unit: 'ops',
          queries: { '{{reason}}': by('reason', 'wmoc_gateway_bad_device_responses_total') },
        },
      ],
    },
    {
      title: 'Network and data',
      panels: [
        {
          title: 'Round trip',
          description: 'Of pings through tunnels: the network between gateway and device.',
          unit: 's',
          queries: Object.fromEntries(
            [0.5, 0.95, 0.99].map((share) => [
              `p${share * 100}`,
              `histogram_quantile(${share}, sum by (le) (rate(wmoc_gateway_tunnel_rtt_seconds_bucket{${ON}}[$__rate_interval])))`,
            ]),
          ),
        },
        {
          title: 'Messages',
          description: 'Metrics, logs, events and results of commands.',
          unit: 'ops',
          isStacked: true,
          queries: { '{{kind}}': by('kind', 'wmoc_gateway_device_messages_total') },
        },
        {
          title: 'Messages not kept',
          description: 'The device was not told that they are, and sends them again.',
          unit: 'ops',
          queries: { '{{reason}}': by('reason', 'wmoc_gateway_ingest_dropped_total') },
        },
      ],
    },
  ],
}

import type { DashboardSpec } from '../dashboard.ts'
import { ON } from '../dashboard.ts'

const BY = 'sum by (instance)'

export const shard: DashboardSpec = {
  name: 'shard',
  title: 'Shard',
  description: 'One gateway shard, or several beside each other: load, memory, links, drain.',
  metric: 'wmoc_gateway_tunnels',
  rows: [
    {
      title: 'Load',
      panels: [
        {
          title: 'Tunnels',
          description: 'Open tunnels by protocol version.',
          unit: 'short',
          queries: {
            '{{instance}} v{{protocol}}': `sum by (instance, protocol) (wmoc_gateway_tunnels{${ON}})`,
          },
        },
        {
          title: 'Requests',
          description: 'Requests that arrived at this shard.',
          unit: 'reqps',
          queries: {
            '{{instance}}': `${BY} (rate(wmoc_gateway_proxy_requests_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Under way',
          description: 'Requests that wait for a device, and those that wait for room on one.',
          unit: 'short',
          queries: {
            '{{instance}} in flight': `${BY} (wmoc_gateway_proxy_requests_in_flight{${ON}})`,
            '{{instance}} queued': `${BY} (wmoc_gateway_proxy_requests_queued{${ON}})`,
          },
        },
        {
          title: 'Bytes',
          description: 'Payload through tunnels.',
          unit: 'Bps',
          queries: {
            '{{instance}} {{direction}}': `sum by (instance, direction) (rate(wmoc_gateway_proxy_bytes_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Turned away',
          description: 'Requests for want of memory, and sockets before they opened, by reason.',
          unit: 'ops',
          queries: {
            '{{instance}} shed': `${BY} (rate(wmoc_gateway_proxy_requests_total{${ON},outcome="shed"}[$__rate_interval]))`,
            '{{instance}} {{reason}}': `sum by (instance, reason) (rate(wmoc_gateway_upgrade_refusals_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Sockets without a registration',
          description: 'Many for long: devices that connect and say nothing, or a slow API.',
          unit: 'short',
          queries: { '{{instance}}': `${BY} (wmoc_gateway_unregistered_sockets{${ON}})` },
        },
      ],
    },
    {
      title: 'Process',
      panels: [
        {
          title: 'CPU',
          description: '1 is one core; the event loop has no more.',
          unit: 'short',
          queries: { '{{instance}}': `${BY} (rate(process_cpu_seconds_total{${ON}}[$__rate_interval]))` },
        },
        {
          title: 'Memory',
          description: 'Resident, and the part of it that JavaScript uses.',
          unit: 'bytes',
          queries: {
            '{{instance}} resident': `${BY} (process_resident_memory_bytes{${ON}})`,
            '{{instance}} heap': `${BY} (nodejs_heap_size_used_bytes{${ON}})`,
          },
        },
        {
          title: 'Event loop delay',
          description: 'At the 99th percentile. Above a quarter of a second the shard is overloaded.',
          unit: 's',
          queries: { '{{instance}}': `max by (instance) (nodejs_eventloop_lag_p99_seconds{${ON}})` },
        },
      ],
    },
    {
      title: 'Ring and links',
      panels: [
        {
          title: 'Members of the ring',
          description: 'As each shard sees it; lines that stay apart are a split.',
          unit: 'short',
          queries: { '{{instance}}': `max by (instance) (wmoc_gateway_ring_members{${ON}})` },
        },
        {
          title: 'Links to other shards',
          description: 'Links that are up, by who dialled, and those that did not come up, by reason.',
          unit: 'short',
          queries: {
            '{{instance}} {{direction}}': `sum by (instance, direction) (wmoc_gateway_peer_links{${ON}})`,
            '{{instance}} failed: {{reason}}': `sum by (instance, reason) (increase(wmoc_gateway_peer_failures_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Requests that wait for a place',
          description: 'For a controller that moves, and to be told where one is.',
          unit: 'short',
          queries: {
            '{{instance}} parked': `${BY} (wmoc_gateway_parked_requests{${ON}})`,
            '{{instance}} locating': `${BY} (wmoc_gateway_locating_requests{${ON}})`,
          },
        },
      ],
    },
    {
      title: 'Moves',
      panels: [
        {
          title: 'Draining',
          description: '1 while the shard sends its tunnels away.',
          unit: 'short',
          queries: { '{{instance}}': `max by (instance) (wmoc_gateway_draining{${ON}})` },
        },
        {
          title: 'Tunnels sent elsewhere',
          description: 'By a drain, and because memory is short.',
          unit: 'ops',
          queries: {
            '{{instance}} drain': `${BY} (rate(wmoc_gateway_drain_evictions_total{${ON}}[$__rate_interval]))`,
            '{{instance}} memory': `${BY} (rate(wmoc_gateway_shed_tunnels_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Waiting for the API',
          description: 'Metrics, logs, events and results that the API has not taken yet.',
          unit: 'short',
          queries: {
            '{{instance}} {{queue}}': `sum by (instance, queue) (wmoc_gateway_outbox_items{${ON}})`,
          },
        },
      ],
    },
  ],
}

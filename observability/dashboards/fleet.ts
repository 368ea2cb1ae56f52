import type { DashboardSpec } from '../dashboard.ts'
import { NEAR, ON, ON_JOB } from '../dashboard.ts'
import { PROXY_LATENCY, proxyErrorRatio, TUNNELS } from '../recording.ts'

const requests = 'wmoc_gateway_proxy_requests_total'

export const fleet: DashboardSpec = {
  name: 'fleet',
  title: 'Fleet',
  description: 'Is it well? Controllers, the requests to them and the services beneath, in one view.',
  metric: 'wmoc_gateway_tunnels',
  rows: [
    {
      title: 'Now',
      panels: [
        {
          kind: 'stat',
          title: 'Tunnels',
          description: 'Controllers that are connected, over all shards.',
          unit: 'short',
          queries: { tunnels: `sum(${TUNNELS}{${ON_JOB}})` },
        },
        {
          kind: 'stat',
          title: 'Away since today',
          description: 'Controllers that went offline more than ten minutes and less than a day ago.',
          unit: 'short',
          queries: { away: `max(wmoc_api_controllers_offline{${NEAR},duration="hours"})` },
        },
        {
          kind: 'stat',
          title: 'Errors',
          description: 'Share of requests to controllers that failed by our fault in the last five minutes.',
          unit: 'percentunit',
          queries: { errors: `max(${proxyErrorRatio('5m')}{${ON_JOB}})` },
        },
        {
          kind: 'stat',
          title: '95th percentile',
          description: 'Nineteen of twenty requests were answered faster, the device’s own time included.',
          unit: 's',
          queries: { p95: `max(${PROXY_LATENCY}{${ON_JOB}})` },
        },
        {
          kind: 'stat',
          title: 'Shards',
          description: 'Gateway shards that answer the scrape.',
          unit: 'short',
          queries: { shards: `count(wmoc_gateway_ring_members{${ON}})` },
        },
        {
          kind: 'stat',
          title: 'Rings',
          description: 'Different rings that shards see. More than one for longer than seconds is a split.',
          unit: 'short',
          queries: { rings: `count(count_values("ring", wmoc_gateway_ring_fingerprint{${ON}}))` },
        },
      ],
    },
    {
      title: 'Tunnels',
      panels: [
        {
          title: 'Tunnels by shard',
          description: 'A planned drain moves them without a dip in the sum.',
          unit: 'short',
          isStacked: true,
          queries: { '{{instance}}': `sum by (instance) (wmoc_gateway_tunnels{${ON}})` },
        },
        {
          title: 'Opened and closed',
          description: 'Registrations accepted, and tunnels that ended. Both high: devices reconnect.',
          unit: 'ops',
          queries: {
            opened: `sum(rate(wmoc_gateway_tunnel_opens_total{${ON}}[$__rate_interval]))`,
            closed: `sum(rate(wmoc_gateway_tunnel_closes_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Controllers by status',
          description: 'As the database has them. Pending: made, and never connected.',
          unit: 'short',
          isStacked: true,
          queries: { '{{status}}': `max by (status) (wmoc_api_controllers{${NEAR}})` },
        },
      ],
    },
    {
      title: 'Requests to controllers',
      panels: [
        {
          title: 'By outcome',
          description: 'All that people and scripts asked of controllers.',
          unit: 'reqps',
          isStacked: true,
          queries: { '{{outcome}}': `sum by (outcome) (rate(${requests}{${ON}}[$__rate_interval]))` },
        },
        {
          title: 'Duration',
          description: 'Of requests that were answered; most of it is the device’s own time.',
          unit: 's',
          queries: Object.fromEntries(
            [0.5, 0.95, 0.99].map((share) => [
              `p${share * 100}`,
              `histogram_quantile(${share}, sum by (le) (rate(wmoc_gateway_proxy_request_duration_seconds_bucket{${ON},outcome="ok"}[$__rate_interval])))`,
            ]),
          ),
        },
        {
          title: 'Where the tunnel was',
          description: 'local: on the shard that was asked; peer: one hop further; none: nowhere.',
          unit: 'reqps',
          isStacked: true,
          queries: { '{{hop}}': `sum by (hop) (rate(${requests}{${ON}}[$__rate_interval]))` },
        },
      ],
    },
    {
      title: 'Pages of controllers',
      panels: [
        {
          title: 'By answer',
          description:
            'hit, stale, revalidated, coalesced: what controllers were spared. miss, passed: what they sent themselves.',
          unit: 'reqps',
          isStacked: true,
          queries: {
            '{{result}}': `sum by (result) (rate(wmoc_gateway_page_cache_requests_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Bodies of pages',
          description: 'What controllers sent, and what people were sent, before it was compressed.',
          unit: 'Bps',
          queries: {
            '{{direction}}': `sum by (direction) (rate(wmoc_gateway_page_cache_transferred_bytes_total{${ON}}[$__rate_interval]))`,
          },
        },
        {
          title: 'Kept by shard',
          description: 'Memory of the pages that a shard keeps; bounded by PAGE_CACHE_BYTES.',
          unit: 'bytes',
          isStacked: true,
          queries: { '{{instance}}': `sum by (instance) (wmoc_gateway_page_cache_bytes{${ON}})` },
        },
        {
          title: 'Kept answers',
          description: 'How many answers these are.',
          unit: 'short',
          isStacked: true,
          queries: { '{{instance}}': `sum by (instance) (wmoc_gateway_page_cache_entries{${ON}})` },
        },
      ],
    },
    {
      title: 'Beneath',
      panels: [
        {
          title: 'Dependencies',
          description: '1: reached, 0: not; the worst of all processes.',
          unit: 'short',
          queries: {
            'gateway: {{dependency}}': `min by (dependency) (wmoc_gateway_dependency_up{${ON}})`,
            'api: {{dependency}}': `min by (dependency) (wmoc_api_dependency_up{${NEAR}})`,
          },
        },
        {
          title: 'Work that waits',
          description: 'Oldest job that is due, and oldest event that a subscriber has not had.',
          unit: 's',
          queries: {
            job: `max(wmoc_api_jobs_oldest_due_seconds{${NEAR}})`,
            'event: {{subscriber}}': `max by (subscriber) (wmoc_api_events_oldest_waiting_seconds{${NEAR}})`,
          },
        },
        {
          title: 'Connections to the database',
          description: 'All used and statements waiting: the pool is too small, or something holds locks.',
          unit: 'short',
          queries: {
            '{{server}} {{state}}': `sum by (server, state) (wmoc_api_database_connections{${NEAR}})`,
            'waiting: {{server}}': `sum by (server) (wmoc_api_database_waiting{${NEAR}})`,
          },
        },
      ],
    },
  ],
}

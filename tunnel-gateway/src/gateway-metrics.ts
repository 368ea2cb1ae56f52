/** The gateway's metrics. Every label value comes from a closed set; no ids, paths or strings of devices. */
import type { Metrics } from '@wmoc/platform/metrics'

export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>

/** What the gauges read when they are scraped. */
export interface Readings {
  readonly tunnels: () => { readonly v1: number; readonly v2: number }
  readonly unregistered: () => number
  readonly inFlight: () => number
  readonly queued: () => number
  readonly isDraining: () => boolean
  readonly isUp: (dependency: 'store' | 'api') => boolean
  readonly outbox: (queue: 'ingest' | 'events' | 'results') => number
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

export function createGatewayMetrics(metrics: Metrics) {
  return {
    opens: metrics.counter('wmoc_gateway_tunnel_opens_total', 'Accepted tunnel registrations.', ['kind']),
    closes: metrics.counter('wmoc_gateway_tunnel_closes_total', 'Closed tunnels by reason.', ['reason']),
    registerFailures: metrics.counter(
      'wmoc_gateway_register_failures_total',
      'Rejected registrations by reason.',
      ['reason'],
    ),
    refusedUpgrades: metrics.counter(
      'wmoc_gateway_upgrade_refusals_total',
      'Tunnel sockets refused before they opened.',
      ['reason'],
    ),
    rtt: metrics.histogram('wmoc_gateway_tunnel_rtt_seconds', 'Ping round-trip time to devices.', {
      buckets: SECONDS,
    }),
    oddities: metrics.counter(
      'wmoc_gateway_device_oddities_total',
      'Messages that an honest device does not send.',
      ['kind'],
    ),
    messages: metrics.counter(
      'wmoc_gateway_device_messages_total',
      'Messages of devices besides responses.',
      ['kind'],
    ),
    ingestDropped: metrics.counter(
      'wmoc_gateway_ingest_dropped_total',
      'Metrics and log messages not kept; the device was not told they are.',
      ['reason'],
    ),
    requests: metrics.counter('wmoc_gateway_proxy_requests_total', 'Requests proxied to devices.', [
      'method',
      'code',
      'outcome',
      'hop',
    ]),
    duration: metrics.histogram(
      'wmoc_gateway_proxy_request_duration_seconds',
      'Time from request accepted to last response byte.',
      { labelNames: ['outcome'], buckets: SECONDS },
    ),
    bytes: metrics.counter('wmoc_gateway_proxy_bytes_total', 'Payload bytes through tunnels.', ['direction']),
    badResponses: metrics.counter(
      'wmoc_gateway_bad_device_responses_total',
      'Responses that broke the header policy.',
      ['reason'],
    ),
    pagesOpened: metrics.counter(
      'wmoc_gateway_pages_opened_total',
      'Pages that the portal opened: on an origin of their own, in a frame, in a frame for a guest.',
      ['kind'],
    ),
    pageRefusals: metrics.counter(
      'wmoc_gateway_page_refusals_total',
      'Requests below a frame’s address that were refused, by reason.',
      ['reason'],
    ),
    /** Ties the gauges to what they read. */
    watch(readings: Readings): void {
      const gauge = (name: string, help: string, read: () => number) => {
        const made = metrics.gauge(name, help)
        Object.assign(made, { collect: () => made.set(read()) })
      }
      const tunnels = metrics.gauge(
        'wmoc_gateway_tunnels',
        'Open device tunnels on this shard by protocol version.',
        ['protocol'],
      )
      Object.assign(tunnels, {
        collect() {
          const { v1, v2 } = readings.tunnels()
          tunnels.set({ protocol: '1' }, v1)
          tunnels.set({ protocol: '2' }, v2)
        },
      })
      gauge('wmoc_gateway_unregistered_sockets', 'Sockets that have not registered.', readings.unregistered)
      gauge('wmoc_gateway_proxy_requests_in_flight', 'Requests waiting for a device.', readings.inFlight)
      gauge('wmoc_gateway_proxy_requests_queued', 'Requests waiting for room on a device.', readings.queued)
      gauge('wmoc_gateway_draining', 'Whether this shard is draining.', () => (readings.isDraining() ? 1 : 0))
      const up = metrics.gauge(
        'wmoc_gateway_dependency_up',
        'Whether a dependency answered the last time it was asked.',
        ['dependency'],
      )
      Object.assign(up, {
        collect() {
          for (const dependency of ['store', 'api'] as const)
            up.set({ dependency }, readings.isUp(dependency) ? 1 : 0)
        },
      })
      const outbox = metrics.gauge('wmoc_gateway_outbox_items', 'Items waiting for the API.', ['queue'])
      Object.assign(outbox, {
        collect() {
          for (const queue of ['ingest', 'events', 'results'] as const)
            outbox.set({ queue }, readings.outbox(queue))
        },
      })
    },
  }
}

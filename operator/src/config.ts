/** The operator's environment. */
import { ConfigError, defineConfig, flag, list, port, secret } from '@wmoc/platform/config'
import { z } from 'zod'

const durationMs = (fallback: number) => z.coerce.number().int().min(100).default(fallback)

export const config = defineConfig({
  name: 'operator',
  description: 'keeps tunnel gateways, alert policies and declared controllers as their objects say',
  variables: {
    NODE_ENV: { schema: z.string().default('development'), description: 'production switches to JSON logs' },
    LOG_LEVEL: {
      schema: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
      description: 'Least important level that is logged',
    },
    LOG_FORMAT: {
      schema: z.enum(['json', 'pretty']).optional(),
      description: 'Form of the log lines: json in production, else pretty',
    },
    ADMIN_HOST: {
      schema: z.string().default('127.0.0.1'),
      description: 'Address of the operators’ listener',
    },
    ADMIN_PORT: { schema: port(9083), description: 'Port of the operators’ listener: health, metrics' },
    WATCH_NAMESPACES: {
      schema: list,
      description: 'Namespaces that are looked after, separated by commas; empty: all',
    },
    KUBECONFIG: {
      schema: z.string().optional(),
      description: 'File that tells how to reach the cluster; inside of one the pod’s own account is used',
    },
    POD_NAME: {
      schema: z.string().min(1).max(253).optional(),
      description: 'Name of this process in the lease; the host’s name unless set',
    },
    POD_NAMESPACE: {
      schema: z.string().min(1).max(63).default('default'),
      description: 'Namespace of the lease',
    },
    LEADER_ELECTION: {
      schema: flag(true),
      description: 'Whether to work only while holding the lease; off only where a single process is certain',
    },
    LEASE_NAME: {
      schema: z.string().min(1).max(253).default('wmoc-operator'),
      description: 'Name of the lease',
    },
    LEASE_DURATION_MS: {
      schema: z.coerce.number().int().min(1_000).default(10_000),
      description: 'Silence of a leader after which another takes over; whole seconds',
    },
    LEASE_RENEW_MS: { schema: durationMs(2_000), description: 'How often the leader shows that it lives' },
    API_REQUESTS_PER_SECOND: {
      schema: z.coerce.number().min(1).max(1_000).default(20),
      description: 'Requests to the API server on average; twice as many at once',
    },
    API_TIMEOUT_MS: { schema: durationMs(15_000), description: 'Time for the API server to answer' },
    CONTROL_PLANE_URL: {
      schema: z
        .url({ protocol: /^https?$/ })
        .transform((value) => new URL(value).origin)
        .optional(),
      description: 'The API’s internal listener, for objects of kind Controller',
    },
    INTERNAL_TOKEN: {
      schema: secret.optional(),
      description: 'Shared with the API; authorises internal calls',
      secret: true,
    },
  },
})

export type OperatorConfig = ReturnType<(typeof config)['load']>

/** Throws where a leader could not renew its lease in time twice. */
export function checkLease({ LEASE_DURATION_MS, LEASE_RENEW_MS }: OperatorConfig): void {
  if (LEASE_RENEW_MS * 3 <= LEASE_DURATION_MS) return
  throw new ConfigError(
    `operator cannot start: LEASE_RENEW_MS (${LEASE_RENEW_MS}) must be at most a third of LEASE_DURATION_MS (${LEASE_DURATION_MS})`,
  )
}

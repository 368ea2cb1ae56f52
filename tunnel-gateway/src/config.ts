/** The gateway's environment. */
import { defineConfig, port, secret } from '@wmoc/platform/config'
import { z } from 'zod'

const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback)
const durationMs = (fallback: number) => z.coerce.number().int().min(0).default(fallback)
const origin = z.url({ protocol: /^https?$/ }).transform((value) => new URL(value).origin)

export const config = defineConfig({
  name: 'gateway',
  description: 'accepts the tunnels of controllers and carries the requests of their owners through them',
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
    HOST: { schema: z.string().default('127.0.0.1'), description: 'Address of the public listener' },
    PORT: { schema: port(8082), description: 'Port of the public listener: /tunnel, /c and device origins' },
    ADMIN_HOST: {
      schema: z.string().default('127.0.0.1'),
      description: 'Address of the operators’ listener',
    },
    ADMIN_PORT: {
      schema: port(9082),
      description: 'Port of the operators’ listener: health, metrics, status',
    },
    SHARD_ID: {
      schema: z.string().min(1).max(64).default('gateway-0'),
      description: 'Name of this shard, unique among them',
    },
    RING_WEIGHT: {
      schema: z.coerce.number().min(0.1).max(100).default(1),
      description: 'Share of the controllers that belong to this shard, in relation to other shards',
    },
    PEER_HOST: {
      schema: z.string().default('127.0.0.1'),
      description: 'Address of the listener for other shards',
    },
    PEER_PORT: { schema: port(0), description: 'Port of the listener for other shards; 0: any' },
    PEER_ADVERTISE: {
      schema: z
        .string()
        .max(200)
        .regex(/^(?:\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)(?::\d{1,5})?$/)
        .optional(),
      description: 'host or host:port at which other shards reach that listener; PEER_HOST unless set',
    },
    LEASE_TTL_MS: {
      schema: z.coerce.number().int().min(500).default(5_000),
      description: 'Silence after which the other shards take this one for gone',
    },
    LEASE_RENEW_MS: {
      schema: z.coerce.number().int().min(100).default(1_000),
      description: 'How often this shard shows that it lives and looks who else does',
    },
    PARK_MS: {
      schema: durationMs(5_000),
      description: 'Longest time that a request waits for a device on its way from one shard to another',
    },
    PARK_MAX: { schema: count(2_000), description: 'Requests that wait so at once; more are answered 503' },
    REBALANCE_AFTER_MS: {
      schema: durationMs(30_000),
      description: 'How long the ring must have been the same before tunnels are moved to where they belong',
    },
    REBALANCE_MIN_AGE_MS: {
      schema: durationMs(300_000),
      description: 'Age of a tunnel before it is moved',
    },
    REBALANCE_PER_SECOND: {
      schema: z.coerce.number().int().min(0).default(20),
      description: 'Idle tunnels that are moved; 0: none',
    },
    REDIS_URL: {
      schema: z.string().min(1),
      description: 'Shared store: redis://… or embedded://…',
      secret: true,
    },
    CONTROL_PLANE_URL: { schema: origin, description: 'The API’s internal listener, http://host:port' },
    INTERNAL_TOKEN: {
      schema: secret,
      description: 'Shared with the API; authorises internal calls',
      secret: true,
    },
    DEVICE_CREDENTIAL_KEY: {
      schema: secret,
      description: 'Key of the verifiers of device secrets',
      secret: true,
    },
    PAGE_COOKIE_KEY: {
      schema: secret,
      description: 'Key that signs cookies of device origins and addresses of pages in frames',
      secret: true,
    },
    PAGE_TTL_MS: {
      schema: z.coerce.number().int().min(500).default(900_000),
      description: 'How long a page in the portal’s frame stays open when the portal does not renew it',
    },
    PAGE_MAX_AGE_MS: {
      schema: z.coerce.number().int().min(500).default(43_200_000),
      description: 'After this it has to be opened again, however often it was renewed',
    },
    ACCESS_FRESH_MS: {
      schema: durationMs(30_000),
      description:
        'How long an answer about people, sessions, links and controllers is believed where no word of a change came',
    },
    ACCESS_SWEEP_MS: {
      schema: z.coerce.number().int().min(1_000).max(86_400_000).default(60_000),
      description: 'How often everything that is open is checked anew, in case a word of a change was lost',
    },
    PUBLIC_URL: {
      schema: origin.default('http://localhost:8080'),
      description: 'Where people open the portal',
    },
    PORTAL_ORIGIN: { schema: origin.optional(), description: 'Origin of the portal; PUBLIC_URL unless set' },
    DEVICE_DOMAIN: {
      schema: z
        .string()
        .toLowerCase()
        .regex(/^[a-z0-9.-]+(?::\d+)?$|^$/)
        .default(''),
      description:
        'Domain, with port if not the default, below which every device has its own origin; empty: none',
    },
    TRUSTED_HOPS: {
      schema: z.coerce.number().int().min(0).max(10).default(0),
      description: 'Proxies of ours in front, whose X-Forwarded-For is believed',
    },
    MAX_TUNNELS: {
      schema: count(20_000),
      description: 'Tunnels of this shard at most; more are sent elsewhere',
    },
    MAX_UNREGISTERED: { schema: count(4_000), description: 'Sockets that have not registered, in total' },
    MAX_UNREGISTERED_PER_ADDRESS: {
      schema: count(512),
      description: 'Sockets that have not registered, of one address',
    },
    CONNECTS_PER_ADDRESS_PER_SECOND: {
      schema: count(200),
      description: 'Tunnel connections of one address; 5 times as many at once',
    },
    REGISTRATIONS_PER_SECOND: {
      schema: count(1_000),
      description: 'Registrations of this shard; 4 times as many at once',
    },
    DEVICE_MESSAGES_PER_SECOND: {
      schema: count(100),
      description: 'Metrics, logs and results of one device; 10 times as many at once',
    },
    REGISTER_TIMEOUT_MS: { schema: durationMs(10_000), description: 'Time for a new socket to register' },
    HEARTBEAT_MS: {
      schema: z.coerce.number().int().min(100).max(25_000).default(25_000),
      description:
        'Time between two pings of a device, ± 20 %; one that stops to answer is gone within 1.5 of it',
    },
    QUEUE_PER_TUNNEL: {
      schema: count(128),
      description: 'Requests that wait for a device with all streams taken',
    },
    QUEUE_TIMEOUT_MS: { schema: durationMs(10_000), description: 'Longest wait in that queue' },
    FIRST_BYTE_TIMEOUT_MS: {
      schema: durationMs(29_000),
      description: 'Time for a device to begin its answer',
    },
    IDLE_TIMEOUT_MS: { schema: durationMs(60_000), description: 'Longest gap inside an answer' },
    TOTAL_TIMEOUT_MS: { schema: durationMs(3_600_000), description: 'Longest time of one request' },
    REQUEST_TIMEOUT_MS: {
      schema: durationMs(300_000),
      description: 'Time for a request of a user to arrive, as far as it is collected before it goes on',
    },
    FROZEN_PAGES_BYTES: {
      schema: z.coerce.number().int().min(0).default(67_108_864),
      description:
        'Bytes of the shared store for the last good copies of pages, of all controllers and shards; below 262144: none',
    },
    PAGE_CACHE_BYTES: {
      schema: count(67_108_864),
      description:
        'Bytes of devices’ pages that are kept; as many again may be on their way to several people',
    },
    PAGE_CACHE_CONTROLLER_BYTES: {
      schema: count(8_388_608),
      description: 'The same of one controller',
    },
    PAGE_CACHE_OBJECT_BYTES: {
      schema: count(1_048_576),
      description: 'Longest answer that is kept, or shared by those who ask for it at the same time',
    },
    MAX_BODY_BYTES: {
      schema: count(134_217_728),
      description: 'Bytes of users’ bodies held at once, of all requests together',
    },
    MAX_REQUESTS_PER_USER: {
      schema: count(512),
      description: 'Requests and WebSockets that one user has under way at once; more are 429',
    },
    MAX_REQUESTS_PER_CONTROLLER: {
      schema: count(512),
      description: 'Requests and WebSockets of all users to one controller at once; more are 429',
    },
    MAX_USER_CONNECTIONS: {
      schema: count(10_000),
      description: 'Connections besides tunnels; more are not accepted',
    },
    SHED_AT_HEAP: {
      schema: z.coerce.number().min(0.1).max(1).default(0.85),
      description: 'Share of the heap’s limit from which nothing new is taken on',
    },
    DRAIN_SETTLE_MS: {
      schema: durationMs(1_500),
      description:
        'Time for the ingress and the other shards to notice that this one goes, before tunnels are told',
    },
    DRAIN_WINDOW_MS: {
      schema: durationMs(10_000),
      description: 'Time over which tunnels are told to go at a stop; few tunnels take less',
    },
    DRAIN_DEADLINE_MS: {
      schema: durationMs(30_000),
      description: 'Time from there for devices to be elsewhere and for requests in flight to finish',
    },
  },
})

export type GatewayConfig = ReturnType<(typeof config)['load']>

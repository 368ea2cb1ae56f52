/** What a TunnelGateway may say: the source of its resource definition and of the operator's own check of it. */
import type { EnvVar, PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'
import type { NetworkPolicyPeer } from 'kubernetes-types/networking/v1.d.ts'
import { z } from 'zod'
import { defineCrd } from '#src/crds/definition.ts'
import {
  anyObject,
  cel,
  conditions,
  dateTime,
  describe,
  duration,
  durationMs,
  int32,
  int64,
  intOrString,
  listMap,
  observedGeneration,
  secretKeyRef,
} from '#src/crds/fields.ts'

/** Set by the operator for each shard; `env` can't. */
export const OWN_ENV = ['SHARD_ID', 'POD_IP', 'PEER_ADVERTISE', 'PORT', 'ADMIN_PORT', 'PEER_PORT'] as const
const MAX_SHARDS = 512

const texts = (description: string) =>
  describe(z.record(z.string().max(317), z.string().max(4_096)), description)

const image = cel(
  z.object({
    repository: z.string().min(1).max(255),
    tag: z.string().min(1).max(128).optional(),
    digest: z
      .string()
      .regex(/^sha256:[a-f0-9]{64}$/)
      .optional(),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent'),
  }),
  'has(self.tag) != has(self.digest)',
  'exactly one of tag or digest must be set',
  ({ tag, digest }) => (tag === undefined) !== (digest === undefined),
)

const env = cel(
  listMap(
    z.object({
      name: z
        .string()
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
        .max(128),
      value: z.string().max(32_768).optional(),
      valueFrom: anyObject<NonNullable<EnvVar['valueFrom']>>(
        'As in a container: secretKeyRef, configMapKeyRef …',
      ).optional(),
    }),
    'name',
    100,
  ),
  `self.all(e, !(e.name in ['${OWN_ENV.join("', '")}']))`,
  `env must not set ${OWN_ENV.join(', ')}: the operator sets them for each shard`,
  (list) => list.every(({ name }) => !(OWN_ENV as readonly string[]).includes(name)),
)

const drain = cel(
  cel(
    z.object({
      strategy: describe(
        z.enum(['Graceful', 'Immediate']).default('Graceful'),
        'Graceful: emptied before it is replaced or removed. Immediate: only the end of its process drains it.',
      ),
      evictRate: describe(
        int32(1, 100_000).default(100),
        'Tunnels asked to go elsewhere, per second and shard.',
      ),
      waitReconnect: describe(
        duration('any').default('30s'),
        'How long to wait for the devices of an emptied shard to be back on the others.',
      ),
      timeout: describe(
        duration().default('10m'),
        'After this time a shard is replaced though it is not empty.',
      ),
    }),
    'duration(self.timeout) >= duration(self.waitReconnect)',
    'drain.timeout must be at least drain.waitReconnect',
    ({ timeout, waitReconnect }) => durationMs(timeout) >= durationMs(waitReconnect),
  ),
  "duration(self.timeout) <= duration('24h')",
  'drain.timeout must be at most 24h',
  ({ timeout }) => durationMs(timeout) <= durationMs('24h'),
)

const isZero = (value: number | string) => value === 0 || value === '0%'
/** A number of shards, or a share of them. Its length lets the API server see that the rules cost little. */
function someShards(name: string) {
  const schema = cel(
    intOrString(MAX_SHARDS),
    "type(self) == int ? self != 0 : self != '0%'",
    `${name} must not be 0`,
    (value) => !isZero(value),
  )
  return schema.meta({ ...schema.meta(), maxLength: 4 })
}

const gate = z.object({
  maxErrorPercent: describe(
    int32(0, 100).default(2),
    'Failed requests and refused registrations of an updated shard, beyond those of the others, in percent.',
  ),
  maxReconnectSeconds: describe(
    int32(1, 86_400).default(60),
    'Time from when a replaced shard is ready until 95 percent of the tunnels are open again, anywhere.',
  ),
  window: describe(
    duration('any').default('5m'),
    'How long an updated shard is watched before the next follows.',
  ),
})

const step = z.object({
  shards: describe(someShards('steps[].shards'), 'So many shards are updated at the end of the step.'),
  pause: duration('any').default('5m'),
})

const rollout = cel(
  cel(
    cel(
      z.object({
        strategy: z.enum(['RollingUpdate', 'Progressive', 'OnDelete']).default('RollingUpdate'),
        maxUnavailable: describe(
          someShards('rollout.maxUnavailable').default(1),
          'Shards that may be away at once because of a rollout.',
        ),
        steps: z.array(step).max(20).optional(),
        gate: describe(
          gate.optional(),
          'What an updated shard must keep to, else the rollout is rolled back.',
        ),
        progressDeadline: describe(
          duration().default('10m'),
          'An updated shard that is not ready after this time fails the rollout.',
        ),
      }),
      "self.strategy != 'Progressive' || (has(self.steps) && self.steps.size() > 0)",
      'rollout.steps are required for the Progressive strategy',
      ({ strategy, steps }) => strategy !== 'Progressive' || (steps?.length ?? 0) > 0,
    ),
    "self.strategy == 'Progressive' || !has(self.steps)",
    'rollout.steps need the Progressive strategy',
    ({ strategy, steps }) => strategy === 'Progressive' || steps === undefined,
  ),
  "self.strategy != 'OnDelete' || !has(self.gate)",
  'rollout.gate has no effect with the OnDelete strategy: leave it out',
  ({ strategy, gate: given }) => strategy !== 'OnDelete' || given === undefined,
)

const autoscaling = cel(
  z.object({
    minReplicas: int32(1, MAX_SHARDS).default(2),
    maxReplicas: int32(1, MAX_SHARDS),
    targetTunnelsPerShard: int32(1, 10_000_000).default(5_000),
    scaleDownStabilization: describe(
      duration('any').default('15m'),
      'Fewer shards must be enough for so long before one goes.',
    ),
  }),
  'self.minReplicas <= self.maxReplicas',
  'autoscaling.minReplicas must not exceed autoscaling.maxReplicas',
  ({ minReplicas, maxReplicas }) => minReplicas <= maxReplicas,
)

const monitoring = cel(
  z.object({
    serviceMonitor: z.boolean().default(false),
    podMonitor: z.boolean().default(false),
    interval: duration().default('30s'),
    labels: texts('Labels that a Prometheus selects its monitors by.').optional(),
  }),
  '!(self.serviceMonitor && self.podMonitor)',
  'monitoring: choose serviceMonitor or podMonitor, else every figure is counted twice',
  ({ serviceMonitor, podMonitor }) => !(serviceMonitor && podMonitor),
)

/** Absent is the same as empty. The API server checks a default by the rules, so that it has to be whole. */
function withDefaults<S extends z.ZodObject>(schema: S) {
  return schema.prefault(schema.parse({}) as z.input<S>)
}

const spec = z.object({
  replicas: describe(
    int32(0, MAX_SHARDS).default(2),
    'Number of shards. Leave it to the scale subresource where an HPA or KEDA owns it.',
  ),
  image,
  redis: z.object({ secretKeyRef: secretKeyRef('url') }),
  secretRef: describe(
    z.object({ name: z.string().min(1).max(253) }).optional(),
    'Secret with INTERNAL_TOKEN, DEVICE_CREDENTIAL_KEY and PAGE_COOKIE_KEY; the shards get these keys and no other.',
  ),
  env: describe(env.optional(), 'Settings of the shards: CONTROL_PLANE_URL, PUBLIC_URL, DEVICE_DOMAIN …'),
  ring: z
    .object({
      leaseTtl: describe(duration().default('5s'), 'Silence after which a shard is taken for gone.'),
      rebalancePerSecond: describe(
        int32(0, 100_000).default(20),
        'Idle tunnels moved to where they belong, per second and shard; 0: none.',
      ),
    })
    .prefault({}),
  drain: withDefaults(drain),
  rollout: withDefaults(rollout),
  autoscaling: describe(
    autoscaling.optional(),
    'Shards by tunnels; absent: left to `replicas`, an HPA or KEDA.',
  ),
  limits: z
    .object({
      maxTunnelsPerShard: int32(1, 10_000_000).default(20_000),
      queuePerTunnel: int32(1, 100_000).default(128),
      requestTimeout: describe(duration().default('29s'), 'Time for a device to begin its answer.'),
      maxBodyBytes: describe(int64(1_024).default(134_217_728), 'Of all requests of a shard together.'),
    })
    .prefault({}),
  heartbeat: z.object({ interval: duration().default('25s') }).prefault({}),
  podTemplate: anyObject<PodTemplateSpec>(
    'Merged into the generated pod: labels, annotations, resources, affinity, tolerations, volumes, sidecars. Lists whose items have a name are merged by it, other lists replace, null removes. The container is called gateway.',
  ).optional(),
  service: z
    .object({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']).default('ClusterIP'),
      annotations: texts('Of the Service that clients use.').optional(),
    })
    .prefault({}),
  networkPolicy: z
    .object({
      enabled: z.boolean().default(true),
      adminFrom: describe(
        z.array(anyObject<NetworkPolicyPeer>('As in a NetworkPolicy.')).max(20).optional(),
        'Who reaches the admin port besides the operator: your Prometheus.',
      ),
    })
    .prefault({}),
  monitoring: withDefaults(monitoring),
  paused: describe(
    z.boolean().default(false),
    'Holds a rollout where it is. Scaling and drains go on; the annotation wmoc.online/paused holds everything.',
  ),
})

/** A spec with all defaults. */
export const TunnelGatewaySpec = cel(
  spec,
  '!has(self.autoscaling) || self.autoscaling.targetTunnelsPerShard <= self.limits.maxTunnelsPerShard',
  'autoscaling.targetTunnelsPerShard must not exceed limits.maxTunnelsPerShard: shards would refuse tunnels before one is added',
  ({ autoscaling: scaling, limits }) =>
    scaling === undefined || scaling.targetTunnelsPerShard <= limits.maxTunnelsPerShard,
)
export type TunnelGatewaySpec = z.infer<typeof TunnelGatewaySpec>

const count = () => int64(0).optional()
const shardDrain = z.object({
  startedAt: dateTime(),
  initialTunnels: int64(0),
  remainingTunnels: int64(0),
  reason: z.enum(['ScaleIn', 'Rollout', 'Manual', 'Deletion', 'Observed']),
})
export type ShardDrain = z.infer<typeof shardDrain>

const shard = z.object({
  name: z.string().max(253),
  state: z.enum(['Pending', 'Ready', 'Draining', 'Drained', 'Failed', 'Lost']),
  version: z.string().optional(),
  template: z.string().optional(),
  tunnels: count(),
  inFlight: count(),
  drain: shardDrain.optional(),
})
export type Shard = z.infer<typeof shard>

export const TunnelGatewayStatus = z.object({
  observedGeneration: observedGeneration(),
  phase: describe(z.string().optional(), 'A sentence for people; programs read the conditions.'),
  replicas: int32(0, 2_147_483_647).optional(),
  readyReplicas: int32(0, 2_147_483_647).optional(),
  updatedReplicas: int32(0, 2_147_483_647).optional(),
  drainingReplicas: int32(0, 2_147_483_647).optional(),
  selector: z.string().optional(),
  tunnels: count(),
  currentVersion: z.string().optional(),
  targetVersion: z.string().optional(),
  ring: z
    .object({ epoch: int64(0), members: int32(0, 2_147_483_647), imbalancePercent: int32(0, 2_147_483_647) })
    .optional(),
  rollout: z
    .object({
      target: describe(z.string(), 'Hash of the pod template that the spec asks for.'),
      serving: describe(
        z.string(),
        'Hash of the pod template that shards are given now: another one after a rollback.',
      ),
      step: int32(0, 1_000).optional(),
      startedAt: dateTime().optional(),
      pausedUntil: dateTime().optional(),
      message: z.string().optional(),
    })
    .optional(),
  autoscaling: z.object({ recommended: int32(0, MAX_SHARDS), lowSince: dateTime().optional() }).optional(),
  shards: listMap(shard, 'name', 2_000).optional(),
  conditions: conditions().optional(),
})
export type TunnelGatewayStatus = z.infer<typeof TunnelGatewayStatus>

export const crd = defineCrd({
  group: 'wmoc.online',
  version: 'v1alpha1',
  kind: 'TunnelGateway',
  plural: 'tunnelgateways',
  singular: 'tunnelgateway',
  shortNames: ['tgw'],
  categories: ['wmoc', 'all'],
  description:
    'The shards that hold the tunnels of controllers, and how they are scaled, drained and replaced.',
  spec: TunnelGatewaySpec,
  status: TunnelGatewayStatus,
  rules: [
    {
      rule: 'self.metadata.name.size() <= 40',
      message: 'name must be at most 40 characters so that pod names (<name>-<ordinal>) fit DNS labels',
    },
    {
      rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
      message: 'name must be a DNS label that begins with a letter: Services are named after it',
    },
  ],
  scale: {
    specReplicasPath: '.spec.replicas',
    statusReplicasPath: '.status.replicas',
    labelSelectorPath: '.status.selector',
  },
  columns: [
    { name: 'Desired', type: 'integer', jsonPath: '.spec.replicas' },
    { name: 'Ready', type: 'integer', jsonPath: '.status.readyReplicas' },
    { name: 'Updated', type: 'integer', jsonPath: '.status.updatedReplicas' },
    { name: 'Draining', type: 'integer', jsonPath: '.status.drainingReplicas' },
    { name: 'Tunnels', type: 'integer', jsonPath: '.status.tunnels' },
    { name: 'Available', type: 'string', jsonPath: '.status.conditions[?(@.type=="Available")].status' },
    { name: 'Status', type: 'string', jsonPath: '.status.phase' },
    { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    { name: 'Version', type: 'string', jsonPath: '.status.currentVersion', priority: 1 },
    { name: 'Epoch', type: 'integer', jsonPath: '.status.ring.epoch', priority: 1 },
    { name: 'Paused', type: 'boolean', jsonPath: '.spec.paused', priority: 1 },
  ],
})

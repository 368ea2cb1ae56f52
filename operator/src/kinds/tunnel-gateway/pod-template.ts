/** The pod of a shard. Pure. */
import type { Container, EnvVar, PodTemplateSpec } from 'kubernetes-types/core/v1.d.ts'
import { durationMs } from '#src/crds/fields.ts'
import { hashOf } from '#src/runtime/metadata.ts'
import { merge } from './merge.ts'
import { ASKED, commonLabels, CONTAINER, POD, PORTS, selectorLabels } from './names.ts'
import type { TunnelGatewaySpec } from './schema.ts'

/** Beyond the time of a drain: for the process to deliver what its devices said, and to end. */
const GRACE_AFTER_DRAIN_S = 30
/** Share of `drain.timeout` in which a process that must end tells its tunnels to go. */
const TELL_SHARE = 0.5
const MAX_TELL_MS = 120_000
const SETTLE_MS = 1_500
const SECRET_KEYS = ['INTERNAL_TOKEN', 'DEVICE_CREDENTIAL_KEY', 'PAGE_COOKIE_KEY'] as const

/** `repository:tag` or `repository@digest`. */
export function imageOf({ repository, tag, digest }: TunnelGatewaySpec['image']): string {
  return digest === undefined ? `${repository}:${tag}` : `${repository}@${digest}`
}

function ownEnv(spec: TunnelGatewaySpec): EnvVar[] {
  const drainMs = durationMs(spec.drain.timeout)
  const windowMs = Math.min(MAX_TELL_MS, Math.floor(drainMs * TELL_SHARE))
  const deadlineMs = Math.max(0, drainMs - windowMs - SETTLE_MS)
  const plain = {
    NODE_ENV: 'production',
    HOST: '0.0.0.0',
    PORT: PORTS.http,
    ADMIN_HOST: '0.0.0.0',
    ADMIN_PORT: PORTS.admin,
    PEER_HOST: '0.0.0.0',
    PEER_PORT: PORTS.peer,
    LEASE_TTL_MS: durationMs(spec.ring.leaseTtl),
    REBALANCE_PER_SECOND: spec.ring.rebalancePerSecond,
    DRAIN_SETTLE_MS: SETTLE_MS,
    DRAIN_WINDOW_MS: windowMs,
    DRAIN_DEADLINE_MS: deadlineMs,
    HEARTBEAT_MS: durationMs(spec.heartbeat.interval),
    MAX_TUNNELS: spec.limits.maxTunnelsPerShard,
    QUEUE_PER_TUNNEL: spec.limits.queuePerTunnel,
    FIRST_BYTE_TIMEOUT_MS: durationMs(spec.limits.requestTimeout),
    MAX_BODY_BYTES: spec.limits.maxBodyBytes,
  }
  const secrets = spec.secretRef === undefined ? [] : SECRET_KEYS
  return [
    { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    { name: 'SHARD_ID', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.name' } } },
    { name: 'PEER_ADVERTISE', value: '$(POD_IP)' },
    { name: 'REDIS_URL', valueFrom: { secretKeyRef: spec.redis.secretKeyRef } },
    ...secrets.map((key) => ({
      name: key,
      valueFrom: { secretKeyRef: { name: spec.secretRef!.name, key } },
    })),
    ...Object.entries(plain).map(([name, value]) => ({ name, value: String(value) })),
  ]
}

/** The operator's variables, then the user's, which win; a value replaces a reference and the other way round. */
function envOf(spec: TunnelGatewaySpec): EnvVar[] {
  const variables = new Map<string, EnvVar>(ownEnv(spec).map((variable) => [variable.name, variable]))
  for (const variable of spec.env ?? []) variables.set(variable.name, variable)
  return [...variables.values()]
}

function container(spec: TunnelGatewaySpec): Container {
  const probe = (path: string) => ({ httpGet: { path, port: 'admin', scheme: 'HTTP' } })
  return {
    name: CONTAINER,
    image: imageOf(spec.image),
    imagePullPolicy: spec.image.pullPolicy,
    env: envOf(spec),
    ports: Object.entries(PORTS).map(([name, containerPort]) => ({ name, containerPort, protocol: 'TCP' })),
    startupProbe: { ...probe('/healthz'), periodSeconds: 1, failureThreshold: 60 },
    livenessProbe: { ...probe('/healthz'), periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
    readinessProbe: { ...probe('/readyz'), periodSeconds: 2, timeoutSeconds: 3, failureThreshold: 2 },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
  }
}

/**
 * @param name of the TunnelGateway
 * @param restartedAt a new value gives a new template, else the same
 */
export function podTemplate(
  name: string,
  spec: TunnelGatewaySpec,
  restartedAt: string | undefined,
): PodTemplateSpec & { metadata: { annotations: Record<string, string> } } {
  const generated: PodTemplateSpec = {
    metadata: {
      labels: commonLabels(name),
      annotations: restartedAt === undefined ? {} : { [ASKED.restartedAt]: restartedAt },
    },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: Math.ceil(durationMs(spec.drain.timeout) / 1_000) + GRACE_AFTER_DRAIN_S,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 65_532,
        runAsGroup: 65_532,
        fsGroup: 65_532,
        seccompProfile: { type: 'RuntimeDefault' },
      },
      topologySpreadConstraints: ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'].map(
        (topologyKey) => ({
          maxSkew: 1,
          topologyKey,
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: selectorLabels(name) },
        }),
      ),
      containers: [container(spec)],
      volumes: [{ name: 'tmp', emptyDir: {} }],
    },
  }
  const { metadata, spec: pod } = merge(generated, spec.podTemplate ?? {})
  const annotations = metadata?.annotations ?? {}
  const labels = { ...metadata?.labels, ...selectorLabels(name) }
  const hash = hashOf({ labels, annotations, pod })
  return { metadata: { labels, annotations: { ...annotations, [POD.template]: hash } }, spec: pod! }
}

/** Custom resources of other projects, from the Go modules that define them: paths for `kubectl apply --server-side -f`. */
import { join } from 'node:path'
import { downloadModule } from './go.ts'

const GATEWAY_API = { module: 'sigs.k8s.io/gateway-api@v1.6.3', folder: 'config/crd/standard' }
const PROMETHEUS = {
  module: 'github.com/prometheus-operator/prometheus-operator@v0.85.0',
  folder: 'example/prometheus-operator-crd',
}
const CLOUD_NATIVE_PG = {
  module: 'github.com/cloudnative-pg/cloudnative-pg@v1.28.0',
  folder: 'config/crd/bases',
}

const SOURCES = {
  ServiceMonitor: { ...PROMETHEUS, file: 'monitoring.coreos.com_servicemonitors.yaml' },
  PodMonitor: { ...PROMETHEUS, file: 'monitoring.coreos.com_podmonitors.yaml' },
  PrometheusRule: { ...PROMETHEUS, file: 'monitoring.coreos.com_prometheusrules.yaml' },
  GatewayClass: { ...GATEWAY_API, file: 'gateway.networking.k8s.io_gatewayclasses.yaml' },
  Gateway: { ...GATEWAY_API, file: 'gateway.networking.k8s.io_gateways.yaml' },
  HTTPRoute: { ...GATEWAY_API, file: 'gateway.networking.k8s.io_httproutes.yaml' },
  Cluster: { ...CLOUD_NATIVE_PG, file: 'postgresql.cnpg.io_clusters.yaml' },
  ScheduledBackup: { ...CLOUD_NATIVE_PG, file: 'postgresql.cnpg.io_scheduledbackups.yaml' },
} as const
export type ThirdPartyKind = keyof typeof SOURCES

/** Every kind there is here. */
export const THIRD_PARTY_KINDS = Object.keys(SOURCES) as ThirdPartyKind[]

/** Downloads what is needed (once a machine) and answers the file of each kind. */
export async function thirdPartyCrds(
  kinds: readonly ThirdPartyKind[] = THIRD_PARTY_KINDS,
): Promise<string[]> {
  const modules = new Map<string, Promise<string>>()
  const paths = kinds.map(async (kind) => {
    const { module, folder, file } = SOURCES[kind]
    const found = modules.get(module) ?? downloadModule(module)
    modules.set(module, found)
    return join(await found, folder, file)
  })
  return Promise.all(paths)
}

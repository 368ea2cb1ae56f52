/**
 * The alerts that come with the platform: one file in `alerts/` each, and the presets that an AlertPolicy may name. In
 * Prometheus an alert and its runbook carry the prefix `WMOC` before this name.
 */
export const ALERT_NAMES = [
  'ControllerOffline',
  'ControllerFlapping',
  'FleetOffline',
  'FleetMassDisconnect',
  'TunnelErrorBudgetBurn',
  'TunnelErrorBudgetBurnSlow',
  'ProxyLatencyHigh',
  'ShardDown',
  'ShardOverloaded',
  'RingImbalanced',
  'RingSplit',
  'DrainStuck',
  'RolloutStuck',
  'ActivationAbuse',
  'RedisUnavailable',
  'DatabaseUnavailable',
  'ApiErrorBudgetBurn',
  'JobsFailing',
  'JobsWaiting',
  'OperatorReconcileErrors',
  'CertificateExpiring',
  'BackupMissing',
] as const

export type AlertName = (typeof ALERT_NAMES)[number]

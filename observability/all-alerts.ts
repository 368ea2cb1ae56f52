/** Every alert that comes with the platform. */
import type { AlertName } from './alert-names.ts'
import type { Alert } from './alert.ts'
import { activationAbuse } from './alerts/activation-abuse.ts'
import { apiErrorBudgetBurn } from './alerts/api-error-budget-burn.ts'
import { backupMissing } from './alerts/backup-missing.ts'
import { certificateExpiring } from './alerts/certificate-expiring.ts'
import { controllerFlapping } from './alerts/controller-flapping.ts'
import { controllerOffline } from './alerts/controller-offline.ts'
import { databaseUnavailable } from './alerts/database-unavailable.ts'
import { drainStuck } from './alerts/drain-stuck.ts'
import { fleetMassDisconnect } from './alerts/fleet-mass-disconnect.ts'
import { fleetOffline } from './alerts/fleet-offline.ts'
import { jobsFailing } from './alerts/jobs-failing.ts'
import { jobsWaiting } from './alerts/jobs-waiting.ts'
import { operatorReconcileErrors } from './alerts/operator-reconcile-errors.ts'
import { proxyLatencyHigh } from './alerts/proxy-latency-high.ts'
import { redisUnavailable } from './alerts/redis-unavailable.ts'
import { ringImbalanced } from './alerts/ring-imbalanced.ts'
import { ringSplit } from './alerts/ring-split.ts'
import { rolloutStuck } from './alerts/rollout-stuck.ts'
import { shardDown } from './alerts/shard-down.ts'
import { shardOverloaded } from './alerts/shard-overloaded.ts'
import { tunnelErrorBudgetBurn } from './alerts/tunnel-error-budget-burn.ts'
import { tunnelErrorBudgetBurnSlow } from './alerts/tunnel-error-budget-burn-slow.ts'

/** By name, in the order of `ALERT_NAMES`. */
export const ALERTS: Readonly<Record<AlertName, Alert>> = {
  ControllerOffline: controllerOffline,
  ControllerFlapping: controllerFlapping,
  FleetOffline: fleetOffline,
  FleetMassDisconnect: fleetMassDisconnect,
  TunnelErrorBudgetBurn: tunnelErrorBudgetBurn,
  TunnelErrorBudgetBurnSlow: tunnelErrorBudgetBurnSlow,
  ProxyLatencyHigh: proxyLatencyHigh,
  ShardDown: shardDown,
  ShardOverloaded: shardOverloaded,
  RingImbalanced: ringImbalanced,
  RingSplit: ringSplit,
  DrainStuck: drainStuck,
  RolloutStuck: rolloutStuck,
  ActivationAbuse: activationAbuse,
  RedisUnavailable: redisUnavailable,
  DatabaseUnavailable: databaseUnavailable,
  ApiErrorBudgetBurn: apiErrorBudgetBurn,
  JobsFailing: jobsFailing,
  JobsWaiting: jobsWaiting,
  OperatorReconcileErrors: operatorReconcileErrors,
  CertificateExpiring: certificateExpiring,
  BackupMissing: backupMissing,
}

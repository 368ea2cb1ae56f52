/** The only way from a row to what leaves the API. */
import type { ControllerRecord, Role } from '@wmoc/protocol/control-plane'
import type { Controller } from './contract.ts'
import type { ControllerRow } from './model.ts'

/** A controller for the person who asks. */
export function presentController(row: ControllerRow, role: Role): Controller {
  return {
    id: row.id,
    workspaceId: row.workspaceId,
    role,
    name: row.name,
    tags: row.tags,
    metadata: row.metadata,
    macAddress: row.macAddress,
    model: row.model,
    firmwareVersion: row.firmwareVersion,
    deviceMetadata: row.deviceMetadata,
    status: row.isActive ? row.status : 'pending',
    isActive: row.isActive,
    isSuspended: row.suspendedAt !== null,
    lastSeenAt: iso(row.lastSeenAt),
    statusSince: iso(row.statusSince),
    pagePath: `/c/${row.id}/`,
    pageCache: row.pageCache,
    rotationPending: row.rotationPending,
    activationExpiresAt: iso(row.activationExpiresAt),
    version: row.version,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

/** A controller for the gateway. */
export function presentRecord(row: ControllerRow, requestsPerMinute: number): ControllerRecord {
  const isAlive = row.isActive && row.deletedAt === null
  return {
    controllerId: row.id,
    workspaceId: row.workspaceId,
    state: !isAlive ? 'revoked' : row.suspendedAt === null ? 'active' : 'suspended',
    verifiers: isAlive ? [row.verifierCurrent, row.verifierNext].filter((slot) => slot !== null) : [],
    rotationPending: row.rotationPending,
    pageLabel: row.pageLabel,
    accessEpoch: row.accessEpoch,
    name: row.name,
    requestsPerMinute,
    pageCache: row.pageCache,
    firmwareVersion: row.firmwareVersion,
  }
}

/** RFC 3339 in UTC, or null. */
export function iso(date: Date | null): string | null {
  return date === null ? null : date.toISOString()
}

/** What is asked of the API, and the Secret that a device is given. Pure. */
import { createHash } from 'node:crypto'
import type { Secret } from 'kubernetes-types/core/v1.d.ts'
import { renderSVG } from 'uqr'
import { ownerReference } from '#src/runtime/metadata.ts'
import type { Sent, Stored } from '#src/runtime/objects.ts'
import type { Declaration, Enrolled } from './control-plane.ts'
import type { DeclaredController } from './schema.ts'

/** @param secret The activation Secret as it is, null where there is none. */
export function declarationOf(
  controller: Stored<DeclaredController>,
  secret: Pick<Secret, 'data'> | null,
): Declaration {
  const { spec, metadata } = controller
  const token = secret?.data?.['token']
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    mac: spec.mac,
    owner: spec.owner.toLowerCase(),
    displayName: spec.displayName ?? null,
    tags: Object.entries(spec.tags ?? {}).map(([key, value]) => (value === '' ? key : `${key}:${value}`)),
    sharedWith: spec.access === 'Shared' ? (spec.sharedWith ?? []).map((email) => email.toLowerCase()) : [],
    suspended: spec.suspended,
    activation:
      spec.activationSecretName === undefined
        ? null
        : { tokenHash: token === undefined ? null : sha256Hex(Buffer.from(token, 'base64')) },
  }
}

/** All that a device needs for its first connection. */
export function activationSecret(
  controller: Stored<DeclaredController>,
  name: string,
  activation: NonNullable<Enrolled['activation']>,
): Sent<Secret> {
  const { namespace } = controller.metadata
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name,
      ...(namespace === undefined ? {} : { namespace }),
      labels: {
        'app.kubernetes.io/name': 'controller-activation',
        'app.kubernetes.io/managed-by': 'wmoc-operator',
      },
      annotations: { 'wmoc.online/expires-at': new Date(activation.expiresAt).toISOString() },
      ownerReferences: [ownerReference(controller)],
    },
    type: 'Opaque',
    data: {
      token: base64(activation.token),
      activateUrl: base64(activation.activateUrl),
      tunnelUrl: base64(activation.tunnelUrl),
      'qr.svg': base64(renderSVG(activation.activateUrl)),
    },
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

function sha256Hex(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

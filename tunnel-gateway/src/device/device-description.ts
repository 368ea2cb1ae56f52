/** What a device says of itself, in the forms that others need. */
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import type { Register } from '@wmoc/protocol/messages'
import type { Claim } from './registrar.ts'

/** Not told to the API: what proves the device, and what only the gateway needs. */
const NOT_METADATA = new Set(['mac', 'firmware_version', 'model', 'controller_id', 'secret', 'boot_id'])

/** For the API. @param remoteAddress As the trusted hops say. */
export function describeDevice(message: Register, remoteAddress: string): DeviceDescription {
  const credentials = message.credentials
  const metadata = Object.entries(credentials ?? {}).filter(([name]) => !NOT_METADATA.has(name))
  return {
    mac: credentials?.mac ?? null,
    firmwareVersion: credentials?.firmware_version ?? null,
    model: credentials?.model ?? null,
    // Defined, never assigned: a key named __proto__ stays data.
    metadata: Object.fromEntries(metadata) as DeviceDescription['metadata'],
    remoteAddress,
  }
}

/** Tells two devices with one credential apart, as far as they show it. */
export function identityOf(message: Register, address: string): string {
  return `${message.credentials?.mac ?? ''} ${message.credentials?.boot_id ?? ''} ${address}`
}

/** The message that makes a device show its code. */
export function activationRequired(claim: Claim) {
  const { userCode, verificationUri, verificationUriComplete, expiresAt } = claim
  const expiresIn = Math.max(0, Math.round((expiresAt - Date.now()) / 1_000))
  return {
    type: 'activation_required',
    userCode,
    verificationUri,
    verificationUriComplete,
    expiresIn,
  } as const
}

/** What a device says of itself, made fit to store and to show. Pure; every string here is a stranger's. */
import type { DeviceDescription } from '@wmoc/protocol/control-plane'
import { cleanJson, cleanText } from '#src/kernel/clean-text.ts'
import type { Json } from '#src/kernel/clean-text.ts'

const MAX_METADATA_BYTES = 8_192
const SECRET_FIELDS = new Set(['secret', 'token', 'password'])

/** A description as it is stored. */
export interface Device {
  readonly macAddress: string | null
  readonly firmwareVersion: string | null
  readonly model: string | null
  readonly metadata: Record<string, Json>
  readonly remoteAddress: string
}

/** The name of a controller that was added before anything was known of it. */
export const UNNAMED = 'New controller'

/** Lengths as in the table, NUL and lone surrogates replaced, secrets left out, metadata cut at 8 KiB of JSON. */
export function cleanDevice(device: DeviceDescription): Device {
  return {
    macAddress: device.mac === null ? null : cleanText(device.mac, 17),
    firmwareVersion: device.firmwareVersion === null ? null : cleanText(device.firmwareVersion, 50),
    model: device.model === null ? null : cleanText(device.model, 100),
    metadata: cleanMetadata(device.metadata),
    remoteAddress: cleanText(device.remoteAddress, 64),
  }
}

function cleanMetadata(metadata: Record<string, Json>): Record<string, Json> {
  const kept: [string, Json][] = []
  let room = MAX_METADATA_BYTES
  for (const [key, value] of Object.entries(metadata)) {
    if (SECRET_FIELDS.has(key.toLowerCase())) continue
    const entry: [string, Json] = [cleanText(key), cleanJson(value)]
    room -= Buffer.byteLength(JSON.stringify(entry))
    if (room < 0) break
    kept.push(entry)
  }
  return Object.fromEntries(kept)
}

/** Last two bytes of a MAC, `4A:F0`; null without one. */
export function macTail(mac: string | null): string | null {
  return mac === null ? null : mac.slice(-5)
}

/** What a controller is called until its owner names it: model and end of the MAC. */
export function defaultName(device: Pick<Device, 'model' | 'macAddress'>): string {
  const tail = macTail(device.macAddress)
  const model = device.model?.trim() || 'Controller'
  return (tail === null ? model : `${model.slice(0, 90)} ${tail}`).slice(0, 100)
}

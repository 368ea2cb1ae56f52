/** What a device says of itself at registration, in the person's words. Pure. */
import { bytes, jsonLine } from '#src/ui/format.ts'

const SIZES = ['max_req_header', 'max_request_body'] as const
const TOLD = ['features', 'max_streams', ...SIZES, 'page_ports', 'hostname', 'local_ip'] as const

/** Whether the portal has a name for this field of the protocol; others keep the device's. */
export function isTold(key: string): key is (typeof TOLD)[number] {
  return TOLD.some((told) => told === key)
}

/** Its value: sizes with units, lists with commas, anything else on one line. */
export function toldText(key: string, value: unknown, locale: string): string {
  if (SIZES.some((size) => size === key) && typeof value === 'number') return bytes(value, locale)
  return Array.isArray(value) && value.length > 0
    ? value.map((item) => jsonLine(item)).join(', ')
    : jsonLine(value)
}

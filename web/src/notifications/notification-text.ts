/** Which text a notification gets, from its type and facts. Pure. */
import type { Notification } from '@wmoc/api/contracts/notifications'

/** `notice.<type>`, or the variant that its reason asks for. */
export function textKey({ type, data }: Pick<Notification, 'type' | 'data'>): string {
  if (type === 'controller_auth_failed' && (data.reason === 'conflict' || data.reason === 'quarantined'))
    return `notice.controller_auth_${data.reason}`
  if (type === 'command_failed' && data.reason === 'expired') return 'notice.command_expired'
  return `notice.${type}`
}

/** What the text names; null when the notification doesn't say whom it is about. */
export function textFacts({ data }: Pick<Notification, 'data'>): Record<string, string> | null {
  const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : '–')
  if (typeof data.alertName === 'string') {
    const summary = text(data.summary)
    const description = data.description ? text(data.description) : summary
    return { alert: data.alertName, severity: text(data.severity), summary, description }
  }
  if (typeof data.controllerName !== 'string') return null
  return {
    name: data.controllerName,
    address: text(data.remoteAddress),
    command: text(data.commandName),
    reason: text(data.reason),
  }
}

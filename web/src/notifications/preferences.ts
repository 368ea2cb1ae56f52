/** Preferences as the form holds them, and back. Pure. */
import type { NotificationType, Preferences } from '@wmoc/api/contracts/notifications'

export interface PreferencesFormValues {
  types: NotificationType[]
  hasQuietHours: boolean
  from: string
  to: string
  timeZone: string
}

/** Hours switched off keep what the form had, so that switching back on asks nothing again. */
export function formOf(preferences: Preferences, before: PreferencesFormValues): PreferencesFormValues {
  const { types, quietHours } = preferences.channels.email
  return { ...before, types: [...types], hasQuietHours: quietHours !== null, ...quietHours }
}

export function preferencesOf({
  types,
  hasQuietHours,
  from,
  to,
  timeZone,
}: PreferencesFormValues): Preferences {
  const quietHours = hasQuietHours ? { from, to, timeZone } : null
  return { channels: { email: { types: [...types], quietHours } } }
}

/** The typed client of the whole API, for who is signed in. */
import { auth } from '@wmoc/api/contracts/auth'
import { commands } from '@wmoc/api/contracts/commands'
import { controllers } from '@wmoc/api/contracts/controllers'
import { events } from '@wmoc/api/contracts/events'
import { notifications } from '@wmoc/api/contracts/notifications'
import { pageCredentials } from '@wmoc/api/contracts/page-credentials'
import { sharing } from '@wmoc/api/contracts/sharing'
import { system } from '@wmoc/api/contracts/system'
import { telemetry } from '@wmoc/api/contracts/telemetry'
import { createClient } from '@wmoc/api/client'
import { sending } from './use-session.ts'

export const api = createClient(
  { auth, commands, controllers, events, notifications, pageCredentials, sharing, system, telemetry },
  sending,
)

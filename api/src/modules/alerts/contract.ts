import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'

const Labels = z.record(z.string(), z.string())

/** One alert of a webhook of Alertmanager; fields that it may grow are let pass. */
export const WebhookAlert = z.object({
  status: z.enum(['firing', 'resolved']),
  labels: Labels,
  annotations: Labels.default({}),
  startsAt: z.iso.datetime({ offset: true }),
  /** The same for the same labels, for ever. */
  fingerprint: z.string().regex(/^[0-9a-f]{1,64}$/),
})
export type WebhookAlert = z.infer<typeof WebhookAlert>

/** The body of a webhook receiver of Alertmanager, version 4. */
export const AlertmanagerWebhook = z.object({
  version: z.literal('4'),
  groupKey: z.string(),
  /** How many alerts the receiver's `max_alerts` cut off. */
  truncatedAlerts: z.int().min(0).default(0),
  status: z.enum(['firing', 'resolved']),
  receiver: z.string(),
  alerts: z.array(WebhookAlert).max(1_000),
})
export type AlertmanagerWebhook = z.infer<typeof AlertmanagerWebhook>

export const alerts = contract('alerts', {
  alertmanager: route({
    method: 'POST',
    path: '/api/integrations/alertmanager',
    summary: 'Webhook of Alertmanager: alerts become notifications',
    description:
      'For a `webhook_configs` receiver with `Authorization: Bearer ALERTMANAGER_TOKEN`. Admins of the workspace that `ALERTMANAGER_WORKSPACE_OWNER` names are told of each alert once when it begins and once when it ends. 404 where no token is configured.',
    access: 'public',
    headers: z.object({ authorization: z.string().max(500).optional() }),
    body: AlertmanagerWebhook,
    status: 200,
    response: z.object({
      /** Alerts that were news; the others had been told before. */
      told: z.int(),
    }),
    errors: ['unauthenticated', 'not_found', 'conflict'],
  }),
})

import { appError } from '@wmoc/platform/errors'
import type { Transaction } from 'sequelize'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'
import type { NotificationsModule } from '../notifications/module.ts'
import type { AlertmanagerWebhook, WebhookAlert } from './contract.ts'

type Notify = NotificationsModule['notify']

/** As long as notifications: an alert that fires on for longer is told again. */
const KEEP_RECEIPTS_MS = 90 * 86_400_000

export interface AlertsService {
  /**
   * Tells the admins of the operator's workspace of every alert that is news, and notes in the same transaction that
   * it was told: a webhook that is repeated tells nothing twice. Answers how many were news. `conflict` when there is
   * no workspace to tell.
   */
  accept(webhook: AlertmanagerWebhook): Promise<number>
  /** Forgets receipts older than 90 days. */
  purge(): Promise<void>
}

/** Alerts of the platform's own monitoring. */
export function createAlertsService(
  { db, clock, config }: Pick<Kernel, 'db' | 'clock' | 'config'>,
  { notify }: { notify: Notify },
): AlertsService {
  async function workspace(transaction: Transaction): Promise<string> {
    const owner = config.ALERTMANAGER_WORKSPACE_OWNER
    const found = await firstRow<{ id: string }>(
      db,
      `SELECT w.id FROM workspaces w JOIN users u ON u.id = w.owner_id
       WHERE $owner::text IS NULL OR u.email = lower($owner) ORDER BY w.created_at, w.id LIMIT 1`,
      { owner },
      transaction,
    )
    if (found) return found.id
    throw appError('conflict', {
      detail:
        owner === null
          ? 'There is no workspace yet: register an account first.'
          : 'ALERTMANAGER_WORKSPACE_OWNER names nobody who owns a workspace: register that account first.',
    })
  }

  /** Whether this alert was news; it no longer is. */
  async function note(alert: WebhookAlert, transaction: Transaction): Promise<boolean> {
    const noted = await rows(
      db,
      `INSERT INTO alert_receipts (fingerprint, starts_at, status, received_at)
       VALUES ($fingerprint, $startsAt, $status, $now) ON CONFLICT DO NOTHING RETURNING fingerprint`,
      { ...keyOf(alert), now: clock() },
      transaction,
    )
    return noted.length > 0
  }

  return {
    accept: (webhook) =>
      db.transaction(async (transaction) => {
        const workspaceId = await workspace(transaction)
        let told = 0
        // In the order of their keys: two webhooks with the same alerts wait for each other instead of locking up.
        for (const alert of webhook.alerts.toSorted(byKey)) {
          if (!(await note(alert, transaction))) continue
          told += 1
          await notify(newsOf(alert, workspaceId), transaction)
        }
        return told
      }),
    async purge() {
      const before = new Date(clock().getTime() - KEEP_RECEIPTS_MS)
      await db.transaction((transaction) =>
        rows(db, 'DELETE FROM alert_receipts WHERE received_at < $before', { before }, transaction),
      )
    },
  }
}

function keyOf({ fingerprint, startsAt, status }: WebhookAlert) {
  return { fingerprint, startsAt: new Date(startsAt).toISOString(), status }
}

function dedupeKey(alert: WebhookAlert): string {
  const { fingerprint, startsAt, status } = keyOf(alert)
  return `alert:${fingerprint}:${startsAt}:${status}`
}

function byKey(a: WebhookAlert, b: WebhookAlert): number {
  return dedupeKey(a) < dedupeKey(b) ? -1 : 1
}

function newsOf(alert: WebhookAlert, workspaceId: string): Parameters<Notify>[0] {
  const { labels, annotations } = alert
  const { runbook_url: runbook = '' } = annotations
  return {
    workspaceId,
    type: alert.status === 'firing' ? 'alert_firing' : 'alert_resolved',
    facts: {
      alertName: labels['alertname'] ?? alert.fingerprint,
      severity: labels['severity'] ?? '',
      summary: annotations['summary'] ?? '',
      description: annotations['description'] ?? '',
      ...(/^https?:\/\//.test(runbook) ? { runbookUrl: runbook } : {}),
    },
    dedupeKey: dedupeKey(alert),
  }
}

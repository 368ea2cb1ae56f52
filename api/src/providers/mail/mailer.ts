/** Mail: written with the business change, sent by a job with retries; without SMTP it stays in the outbox. */
import { uuidv7 } from '@wmoc/platform/ids'
import { createTransport } from 'nodemailer'
import type { Transaction } from 'sequelize'
import { z } from 'zod'
import type { Kernel } from '#src/kernel/module.ts'
import { firstRow, rows } from '#src/kernel/rows.ts'

const SEND_JOB = 'mail.send'
/** Unsent mail holds links that sign people in: it does not stay for ever. */
const KEEP_MS = 7 * 24 * 60 * 60 * 1_000
const SendJob = z.object({ mailId: z.uuid() })

export interface Mail {
  readonly to: string
  readonly subject: string
  readonly text: string
}

export interface StoredMail extends Mail {
  readonly id: string
  readonly createdAt: Date
}

export interface Mailer {
  /** Writes the mail in the transaction; it goes out after commit, at least once. */
  send(mail: Mail, transaction: Transaction): Promise<void>
  /** The newest of the outbox. */
  outbox(limit: number): Promise<StoredMail[]>
  /** Registers the jobs; once per process. */
  register(): void
}

interface MailRow extends StoredMail {
  readonly state: string
}

const COLUMNS = 'id, recipient AS "to", subject, text_body AS text, state, created_at AS "createdAt"'

/** `smtpUrl` null: nothing is ever sent. */
export function createMailer(
  { db, jobs, log, clock }: Pick<Kernel, 'db' | 'jobs' | 'log' | 'clock'>,
  { smtpUrl, from }: { smtpUrl: string | null; from: string },
): Mailer {
  const transport =
    smtpUrl === null
      ? null
      : createTransport({
          url: smtpUrl,
          connectionTimeout: 10_000,
          greetingTimeout: 10_000,
          socketTimeout: 20_000,
        })

  async function deliver({ mailId }: z.infer<typeof SendJob>): Promise<void> {
    const mail = await firstRow<MailRow>(db, `SELECT ${COLUMNS} FROM mail_outbox WHERE id = $mailId`, {
      mailId,
    })
    if (!transport || mail?.state !== 'waiting') return
    // The id as Message-ID: a second try after a lost answer is the same mail to the reader's client.
    await transport.sendMail({
      from,
      to: { name: '', address: mail.to },
      subject: mail.subject,
      text: mail.text,
      messageId: `<${mail.id}@wmoc>`,
      disableUrlAccess: true,
      disableFileAccess: true,
    })
    // The text is not kept: it may hold a link that still works.
    await rows(
      db,
      `UPDATE mail_outbox SET state = 'sent', sent_at = $now, text_body = '' WHERE id = $mailId`,
      {
        mailId,
        now: clock(),
      },
    )
    log.info('mail', 'a mail was sent', { mail_id: mailId })
  }

  return {
    async send(mail, transaction) {
      const id = uuidv7()
      await rows(
        db,
        `INSERT INTO mail_outbox (id, recipient, subject, text_body, created_at)
         VALUES ($id, $to, $subject, $text, $now)`,
        { id, to: mail.to, subject: oneLine(mail.subject), text: mail.text, now: clock() },
        transaction,
      )
      if (transport) await jobs.enqueue(SEND_JOB, { mailId: id }, { transaction })
    },
    outbox: (limit) =>
      rows<StoredMail>(
        db,
        `SELECT ${COLUMNS} FROM mail_outbox ORDER BY mail_outbox.created_at DESC LIMIT $limit`,
        {
          limit,
        },
      ),
    register() {
      jobs.handle(SEND_JOB, SendJob, deliver)
      jobs.schedule('mail.purge', '37 4 * * *', async () => {
        const before = new Date(clock().getTime() - KEEP_MS)
        await rows(db, 'DELETE FROM mail_outbox WHERE created_at < $before', { before })
      })
    },
  }
}

/** What names of people or devices bring into a subject must not become a header of its own. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ').slice(0, 250)
}

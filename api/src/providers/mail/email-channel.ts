import type { Channel } from '#src/modules/notifications/channel.ts'
import type { Mailer } from './mailer.ts'

/** Notifications by e-mail, to confirmed addresses only. */
export function createEmailChannel(mailer: Mailer): Channel {
  return {
    name: 'email',
    canReach: (person) => person.emailVerified,
    send: (person, { title, message }, transaction) =>
      mailer.send({ to: person.email, subject: title, text: `${message}\n` }, transaction),
  }
}

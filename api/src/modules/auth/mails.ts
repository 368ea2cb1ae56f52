/** Texts of the auth module's mails. Pure. */
import type { Locale } from '#src/kernel/schemas.ts'

export interface MailText {
  readonly subject: string
  readonly text: string
}

type Kind = 'verifyEmail' | 'resetPassword' | 'alreadyRegistered' | 'passwordChanged'

const TEXTS: Readonly<Record<Locale, Readonly<Record<Kind, (link: string) => MailText>>>> = {
  en: {
    verifyEmail: (link) => ({
      subject: 'Confirm your e-mail',
      text: `Welcome to WMOC.\n\nOpen this link within 24 hours to confirm your e-mail:\n${link}\n\nIf you did not make an account, ignore this message.\n`,
    }),
    resetPassword: (link) => ({
      subject: 'Set a new password',
      text: `Somebody, hopefully you, asked for a new password.\n\nOpen this link within 30 minutes:\n${link}\n\nIf it was not you, ignore this message: nothing has changed.\n`,
    }),
    alreadyRegistered: (link) => ({
      subject: 'You already have an account',
      text: `Somebody, hopefully you, tried to make an account with this e-mail, which has one already.\n\nSign in here, or ask for a new password there:\n${link}\n`,
    }),
    passwordChanged: (link) => ({
      subject: 'Your password was changed',
      text: `The password of your account was changed and your other sessions were signed out.\n\nIf it was not you, set a new password at once:\n${link}\n`,
    }),
  },
  ru: {
    verifyEmail: (link) => ({
      subject: 'Подтвердите адрес почты',
      text: `Добро пожаловать в WMOC.\n\nЧтобы подтвердить адрес, откройте эту ссылку в течение 24 часов:\n${link}\n\nЕсли вы не создавали учётную запись, не обращайте внимания на это письмо.\n`,
    }),
    resetPassword: (link) => ({
      subject: 'Новый пароль',
      text: `Кто-то (надеемся, что вы) запросил новый пароль.\n\nОткройте эту ссылку в течение 30 минут:\n${link}\n\nЕсли это были не вы, не обращайте внимания на это письмо: ничего не изменилось.\n`,
    }),
    alreadyRegistered: (link) => ({
      subject: 'У вас уже есть учётная запись',
      text: `Кто-то (надеемся, что вы) пытался создать учётную запись с этим адресом, но она уже есть.\n\nВойдите здесь или запросите там новый пароль:\n${link}\n`,
    }),
    passwordChanged: (link) => ({
      subject: 'Пароль изменён',
      text: `Пароль вашей учётной записи изменён, остальные сеансы завершены.\n\nЕсли это сделали не вы, сразу задайте новый пароль:\n${link}\n`,
    }),
  },
}

/** One mail in the person's language. */
export function mailText(kind: Kind, locale: Locale, link: string): MailText {
  return TEXTS[locale][kind](link)
}

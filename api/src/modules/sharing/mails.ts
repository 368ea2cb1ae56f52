/** What a person is told to whom a controller was shown. Pure. */
import type { Locale } from '#src/kernel/schemas.ts'

export interface Invitation {
  readonly from: string
  readonly controller: string
  readonly link: string
}

const TEXTS = {
  en: ({ from, controller, link }: Invitation) => ({
    subject: `${controller} was shared with you`,
    text: `${from} lets you look at the controller “${controller}”.\n\nOpen it here; sign in, or make an account with this e-mail:\n${link}\n`,
  }),
  ru: ({ from, controller, link }: Invitation) => ({
    subject: `Вам открыли доступ: ${controller}`,
    text: `${from} открывает вам контроллер «${controller}» для просмотра.\n\nОткройте его здесь: войдите или создайте учётную запись с этим адресом почты:\n${link}\n`,
  }),
} as const satisfies Record<Locale, (what: Invitation) => { subject: string; text: string }>

/** One mail in the person's language. The controller's name is its owner's text: one line of it. */
export function invitationMail(locale: Locale, what: Invitation): { subject: string; text: string } {
  const controller = what.controller.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
  return TEXTS[locale]({ ...what, controller })
}

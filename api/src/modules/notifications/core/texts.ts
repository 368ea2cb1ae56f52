import type { Locale } from '#src/kernel/schemas.ts'
import type { NotificationType } from '../contract.ts'

/** What a notification is about; which fields are there depends on its type. */
export interface Facts {
  readonly controllerId?: string
  readonly controllerName?: string
  readonly remoteAddress?: string
  readonly commandId?: string
  readonly commandName?: string
  readonly reason?: string
  readonly since?: string
  readonly alertName?: string
  readonly severity?: string
  readonly summary?: string
  readonly description?: string
  readonly runbookUrl?: string
}

interface Text {
  readonly title: string
  readonly message: string
}

/** What texts name; empty where nobody said it. */
const NAMED = [
  'controllerName',
  'remoteAddress',
  'commandName',
  'reason',
  'alertName',
  'severity',
  'summary',
  'description',
] as const

type Template = (facts: Readonly<Record<(typeof NAMED)[number], string>>) => Text

const EN: Record<NotificationType, Template> = {
  controller_claimed: ({ controllerName }) => ({
    title: `${controllerName} was added`,
    message: `The controller "${controllerName}" has been activated and belongs to your workspace.`,
  }),
  controller_online: ({ controllerName }) => ({
    title: `${controllerName} is online again`,
    message: `The controller "${controllerName}" has connected.`,
  }),
  controller_offline: ({ controllerName }) => ({
    title: `${controllerName} is offline`,
    message: `The controller "${controllerName}" has lost its connection.`,
  }),
  controller_auth_failed: ({ controllerName, remoteAddress, reason }) => ({
    title:
      reason === 'quarantined'
        ? `${controllerName} is kept out for ten minutes`
        : `${controllerName}: somebody failed to sign in as it`,
    message:
      reason === 'quarantined'
        ? `What the device at ${remoteAddress} sends as "${controllerName}" can't be handled. If it goes on, its firmware needs an update.`
        : reason === 'conflict'
          ? `Two devices used the secret of "${controllerName}" at the same time; both were refused, one of them at ${remoteAddress}. If one is not yours, rotate its credentials.`
          : `A device at ${remoteAddress} gave a wrong secret for "${controllerName}". If it is not yours, rotate its credentials.`,
  }),
  command_failed: ({ controllerName, commandName, reason }) => ({
    title: `${controllerName}: command ${commandName} failed`,
    message:
      reason === 'expired'
        ? `The command "${commandName}" for "${controllerName}" expired before the controller had done it.`
        : `The controller "${controllerName}" could not do the command "${commandName}": ${reason || 'it gave no reason'}.`,
  }),
  alert_firing: ({ alertName, severity, summary, description }) => ({
    title: severity ? `Alert ${alertName} (${severity})` : `Alert ${alertName}`,
    message: description || summary || 'The monitoring of the platform gave no description.',
  }),
  alert_resolved: ({ alertName, summary }) => ({
    title: `Alert ${alertName} is over`,
    message: summary || 'What it told is no longer so.',
  }),
}

const RU: Record<NotificationType, Template> = {
  controller_claimed: ({ controllerName }) => ({
    title: `Добавлен контроллер ${controllerName}`,
    message: `Контроллер «${controllerName}» активирован и принадлежит вашему рабочему пространству.`,
  }),
  controller_online: ({ controllerName }) => ({
    title: `${controllerName} снова в сети`,
    message: `Контроллер «${controllerName}» подключился.`,
  }),
  controller_offline: ({ controllerName }) => ({
    title: `${controllerName} не в сети`,
    message: `Контроллер «${controllerName}» потерял соединение.`,
  }),
  controller_auth_failed: ({ controllerName, remoteAddress, reason }) => ({
    title:
      reason === 'quarantined'
        ? `${controllerName} не принимается десять минут`
        : `${controllerName}: неудачная попытка входа`,
    message:
      reason === 'quarantined'
        ? `То, что присылает устройство с адреса ${remoteAddress} от имени «${controllerName}», не удаётся обработать. Если это повторится, обновите его прошивку.`
        : reason === 'conflict'
          ? `Два устройства одновременно использовали секрет контроллера «${controllerName}»; отказано обоим, адрес одного из них ${remoteAddress}. Если это не ваше устройство, смените учётные данные.`
          : `Устройство с адреса ${remoteAddress} предъявило неверный секрет контроллера «${controllerName}». Если это не ваше устройство, смените учётные данные.`,
  }),
  command_failed: ({ controllerName, commandName, reason }) => ({
    title: `${controllerName}: команда ${commandName} не выполнена`,
    message:
      reason === 'expired'
        ? `Срок команды «${commandName}» для контроллера «${controllerName}» истёк раньше, чем она была выполнена.`
        : `Контроллер «${controllerName}» не смог выполнить команду «${commandName}»: ${reason || 'причина не указана'}.`,
  }),
  alert_firing: ({ alertName, severity, summary, description }) => ({
    title: severity ? `Тревога ${alertName} (${severity})` : `Тревога ${alertName}`,
    message: description || summary || 'Наблюдение за платформой не дало описания.',
  }),
  alert_resolved: ({ alertName, summary }) => ({
    title: `Тревога ${alertName} снята`,
    message: summary || 'Того, о чём она говорила, больше нет.',
  }),
}

const TEMPLATES: Record<Locale, Record<NotificationType, Template>> = { en: EN, ru: RU }

const MAX_TITLE = 255

/** A notification in words of the person's language. Strings of devices become one line of plain text. */
export function compose(type: NotificationType, facts: Facts, locale: Locale): Text {
  const plain = Object.fromEntries(NAMED.map((name) => [name, oneLine(facts[name] ?? '')]))
  const { title, message } = TEMPLATES[locale][type](plain as Parameters<Template>[0])
  return { title: cut(title, MAX_TITLE), message }
}

/** Several notifications in one message. */
export function digest(items: readonly Text[], locale: Locale): Text {
  const [only] = items
  if (items.length === 1 && only) return only
  const title = locale === 'ru' ? `Уведомления: ${items.length}` : `${items.length} notifications`
  return { title, message: items.map((item) => `• ${item.title}\n  ${item.message}`).join('\n\n') }
}

/** What a person is sent who tries a channel. */
export function testText(locale: Locale): Text {
  return locale === 'ru'
    ? { title: 'Проверка уведомлений', message: 'Так приходят уведомления WMOC.' }
    : { title: 'Test of notifications', message: 'This is how notifications of WMOC arrive.' }
}

/** Control characters, line and paragraph separators and marks that turn the direction of writing become spaces. */
function oneLine(text: string): string {
  return cut(
    text
      .toWellFormed()
      .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]+/gu, ' ')
      .trim(),
    500,
  )
}

function cut(text: string, maxChars: number): string {
  const chars = [...text]
  return chars.length <= maxChars ? text : `${chars.slice(0, maxChars - 1).join('')}…`
}

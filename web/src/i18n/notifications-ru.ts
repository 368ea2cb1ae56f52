import type { notificationsEn } from './notifications-en.ts'

export const notificationsRu: typeof notificationsEn = {
  noticeType: {
    controller_claimed: 'Контроллер добавлен',
    controller_online: 'Контроллер снова в сети',
    controller_offline: 'Контроллер пропал из сети',
    controller_auth_failed: 'Предъявлен неверный секрет',
    command_failed: 'Команда не выполнена',
    alert_firing: 'Платформа подняла тревогу',
    alert_resolved: 'Тревога платформы снята',
  },
  prefs: {
    title: 'По почте',
    text: 'Что ещё отправлять на {email}.',
    which: 'Присылать',
    quiet: 'Тихие часы',
    quietText: 'Что придёт за это время, будет отправлено после одним письмом.',
    from: 'С',
    to: 'До',
    zone: 'Часовой пояс: {zone}',
    test: 'Отправить пробное',
    testSent: 'Пробное письмо отправлено на {email}',
  },
}

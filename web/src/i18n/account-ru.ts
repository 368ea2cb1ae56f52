import type { accountEn } from './account-en.ts'

export const accountRu: typeof accountEn = {
  email: {
    title: 'Почта',
    verified: 'Подтверждена',
    notVerified: 'Ещё не подтверждена. Без этого мы не сможем вернуть вам доступ.',
    ask: 'Отправить письмо ещё раз',
    sent: 'Письмо отправлено',
  },
  password: {
    title: 'Пароль',
    text: 'Во всех других местах вход будет завершён.',
    action: 'Сменить пароль',
    done: 'Пароль изменён',
  },
  plan: {
    title: 'Тариф',
    used: '{count} из {limit} контроллеров',
    retention: 'Метрики хранятся {count} день | Метрики хранятся {count} дня | Метрики хранятся {count} дней',
    requests: '{count} запросов в минуту',
    until: 'Оплачен до {date}',
  },
  profile: { title: 'Профиль', languageHelp: 'На нём же будут и письма.' },
  tier: { free: 'Бесплатный', basic: 'Базовый', premium: 'Премиум' },
  signedIn: {
    title: 'Где выполнен вход',
    text: 'Браузеры и приложения, вошедшие от вашего имени.',
    this: 'Этот',
    unknown: 'Неизвестное устройство',
    others: 'Выйти во всех остальных',
  },
}

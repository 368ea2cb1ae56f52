import type { devicePageEn } from './device-page-en.ts'

export const devicePageRu: typeof devicePageEn = {
  devicePage: {
    title: 'Страница устройства',
    shared: 'Общий контроллер',
    back: 'Назад к контроллеру',
    menu: 'Ещё',
    reload: 'Загрузить страницу заново',
    fullScreen: 'Во весь экран',
    leaveFullScreen: 'Выйти из полноэкранного режима',
    frame: 'Страница: {name}',
    logsText: 'Что контроллер пишет прямо сейчас.',
    offline: 'Контроллер не в сети.',
    lastSeen: 'Был в сети',
    comesBack: 'Страница вернётся сама.',
    queued:
      'Команд в очереди нет | В очереди {count} команда | В очереди {count} команды | В очереди {count} команд',
    refused: 'Эта страница вам не видна',
    failed: 'Страницу не удалось открыть',
    linkOver: 'Эта ссылка больше не работает',
    linkOverText: 'Её срок вышел или её отозвали. Попросите новую у того, кто её дал.',
    linkIncomplete: 'Ссылка неполная',
    linkIncompleteText: 'Откройте её ещё раз оттуда, где вы её взяли: не хватает последней части.',
    toPortal: 'На портал',
  },
}

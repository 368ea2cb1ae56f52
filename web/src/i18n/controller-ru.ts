import type { controllerEn } from './controller-en.ts'

export const controllerRu: typeof controllerEn = {
  logs: {
    search: 'Поиск в сообщениях',
    level: 'Уровень',
    pause: 'Пауза',
    resume:
      'Продолжить | Продолжить ({count} новая) | Продолжить ({count} новые) | Продолжить ({count} новых)',
    download: 'Скачать эти строки',
    older: 'Показать более старые',
    toEnd: 'К последним',
    emptyTitle: 'Записей ещё нет',
    emptyText: 'Строки появятся здесь в тот же миг, как контроллер их пришлёт.',
    noneTitle: 'Ничего не найдено',
    noneText: 'Под этот уровень и текст не подходит ни одна строка.',
  },
  settings: {
    title: 'Общее',
    tagsHelp: 'Для поиска и отбора, например «гараж» или «клиент:ли».',
    tagsPlaceholder: 'Добавить метку',
    metadata: 'Ваши заметки',
    metadataHelp: 'Всё, что нужно помнить: где стоит, чей.',
    key: 'Название',
    value: 'Значение',
    valueOf: 'Значение: {key}',
    addRow: 'Добавить заметку',
    dropRow: 'Убрать заметку {key}',
    takeTheirs: 'Загрузить сохранённое',
  },
}

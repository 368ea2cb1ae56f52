/** What a person sees of a device that is away and of which there is no copy. */
import { escapeHtml, languageOf, sendOwnPage } from '#src/page/own-page.ts'
import type { Language } from '#src/page/own-page.ts'
import type { Answer } from '#src/user/answer.ts'

export interface AwayFacts {
  /** Milliseconds since 1970; null: never, or nobody knows. */
  readonly lastSeenAt: number | null
  /** Commands that wait for it; null: not told. */
  readonly queuedCommands: number | null
}

const TEXTS = {
  en: {
    title: 'The controller is offline',
    text: 'It is not connected right now. This page opens by itself as soon as it is back.',
    seen: 'Last seen',
    queued: 'Commands that wait for it',
    suspendedTitle: 'The controller is suspended',
    suspended: 'Its operator keeps it out for now. It can be opened again when that is over.',
  },
  ru: {
    title: 'Контроллер не в сети',
    text: 'Сейчас он не подключён. Страница откроется сама, как только он вернётся.',
    seen: 'Был в сети',
    queued: 'Команд ждёт его',
    suspendedTitle: 'Контроллер приостановлен',
    suspended: 'Его оператор пока не пускает его. Откроется, когда это кончится.',
  },
} as const

const ALIVE_EVERY_MS = 3_000
const RELOAD_SEC = 10
/** Asks until somebody answers that the device is there; then the page that was wanted is opened. */
const SCRIPT =
  'var s=document.currentScript;(function f(){setTimeout(function(){fetch(s.dataset.alive,{cache:"no-store"})' +
  `.then(function(r){r.status===204?location.reload():f()},f)},${ALIVE_EVERY_MS})})()`

export interface OfflinePage {
  readonly name: string
  readonly acceptLanguage: string | undefined
  /** `https://host` of the page. */
  readonly origin: string
  /** Address that answers 204 when the device is there. */
  readonly alive: string
}

export function sendOfflinePage(response: Answer, page: OfflinePage, facts: AwayFacts): void {
  const language = languageOf(page.acceptLanguage)
  const text = TEXTS[language]
  const seen =
    facts.lastSeenAt === null
      ? ''
      : `<p class="muted">${text.seen}: ${timeElement(facts.lastSeenAt, language)}</p>`
  const queued =
    facts.queuedCommands === null || facts.queuedCommands === 0
      ? ''
      : `<p class="muted">${text.queued}: ${facts.queuedCommands}</p>`
  sendOwnPage(response, {
    status: 503,
    language,
    title: text.title,
    head: `<noscript><meta http-equiv="refresh" content="${RELOAD_SEC}"></noscript>`,
    body: `<h1>${text.title}</h1><p>${escapeHtml(page.name)}</p><p role="status">${text.text}</p>${seen}${queued}`,
    after: `<script data-alive="${escapeHtml(page.alive)}">${SCRIPT}</script>`,
    scripts: [SCRIPT],
    origin: page.origin,
    headers: ['Retry-After', String(RELOAD_SEC)],
  })
}

/** Nothing that it could come back from by itself. */
export function sendSuspendedPage(
  response: Answer,
  { name, acceptLanguage, origin }: Omit<OfflinePage, 'alive'>,
): void {
  const language = languageOf(acceptLanguage)
  const { suspendedTitle: title, suspended } = TEXTS[language]
  sendOwnPage(response, {
    status: 503,
    language,
    title,
    body: `<h1>${title}</h1><p>${escapeHtml(name)}</p><p>${suspended}</p>`,
    origin,
  })
}

/** In UTC, since nothing is known of the person's place. */
export function timeElement(at: number, language: Language): string {
  const locale = language === 'en' ? 'en-GB' : language
  const shown = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })
  return `<time datetime="${new Date(at).toISOString()}">${shown.format(at)} UTC</time>`
}

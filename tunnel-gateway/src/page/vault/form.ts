/** What a person sees where a browser would have asked for a device's name and password by a window of its own. */
import { escapeHtml, languageOf, sendOwnPage } from '#src/page/own-page.ts'
import type { Answer } from '#src/user/answer.ts'

/** Why the form is shown: for the first time, or what came of the last one. */
export type FormReason = 'asked' | 'refused' | 'forgotten' | 'limited' | 'outdated'

export interface SignInForm {
  readonly reason: FormReason
  /** The controller's name and what the device calls the part that it protects. */
  readonly device: string
  readonly realm: string
  /** Works once. */
  readonly token: string
  readonly action: string
  /** `https://host` of the page. */
  readonly origin: string
  readonly acceptLanguage: string | undefined
  readonly mayRemember: boolean
  /** The page has an origin of its own, so that a browser's own store of passwords can tell it from others. */
  readonly hasOwnOrigin: boolean
  /** With `limited`. */
  readonly retryAfterMs?: number
}

const TEXTS = {
  en: {
    title: (device: string) => `Sign in to ${device}`,
    asked: 'The device asks for its own user name and password.',
    realm: 'It calls this part',
    user: 'User name',
    password: 'Password',
    remember: 'Remember for me',
    submit: 'Sign in',
    hint: 'They are sent to this device only, and nobody else is signed in by them.',
    refused: 'The device refused this name or password.',
    forgotten: 'The device does not take the saved name and password any more.',
    limited: 'Too many attempts. Wait a minute and try again.',
    outdated: 'The form was too old. Fill it in again.',
  },
  ru: {
    title: (device: string) => `Вход: ${device}`,
    asked: 'Устройство спрашивает собственные имя пользователя и пароль.',
    realm: 'Оно называет этот раздел',
    user: 'Имя пользователя',
    password: 'Пароль',
    remember: 'Запомнить для меня',
    submit: 'Войти',
    hint: 'Они отправляются только этому устройству; больше никто с ними не войдёт.',
    refused: 'Устройство не приняло имя или пароль.',
    forgotten: 'Устройство больше не принимает сохранённые имя и пароль.',
    limited: 'Слишком много попыток. Подождите минуту и попробуйте снова.',
    outdated: 'Форма устарела. Заполните её ещё раз.',
  },
} as const

const STATUS: Readonly<Record<FormReason, number>> = {
  asked: 401,
  refused: 401,
  forgotten: 401,
  limited: 429,
  outdated: 400,
}

export function sendSignInForm(response: Answer, form: SignInForm): void {
  const language = languageOf(form.acceptLanguage)
  const text = TEXTS[language]
  const { reason, hasOwnOrigin } = form
  const complete = (name: string) => `autocomplete="${hasOwnOrigin ? name : 'off'}"`
  const notice = reason === 'asked' ? '' : `<p class="error" role="alert">${text[reason]}</p>`
  const realm = form.realm === '' ? '' : `<p class="muted">${text.realm} “${escapeHtml(form.realm)}”.</p>`
  const remember = form.mayRemember
    ? `<label class="tick"><input type="checkbox" name="remember" value="yes"> ${text.remember}</label>`
    : ''
  const title = text.title(form.device)
  sendOwnPage(response, {
    status: STATUS[reason],
    language,
    title,
    origin: form.origin,
    body:
      `<h1>${escapeHtml(title)}</h1><p>${text.asked}</p>${realm}${notice}` +
      `<form method="post" action="${escapeHtml(form.action)}"><input type="hidden" name="token" value="${form.token}">` +
      `<label>${text.user}<input type="text" name="username" maxlength="256" autocapitalize="none" spellcheck="false" ${complete('username')} autofocus></label>` +
      `<label>${text.password}<input type="password" name="password" maxlength="1024" ${complete('current-password')}></label>` +
      `${remember}<p><button>${text.submit}</button></p></form><p class="muted">${text.hint}</p>`,
    headers:
      form.retryAfterMs === undefined ? [] : ['Retry-After', String(Math.ceil(form.retryAfterMs / 1_000))],
  })
}

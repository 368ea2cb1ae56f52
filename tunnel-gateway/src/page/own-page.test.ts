import assert from 'node:assert/strict'
import { test } from 'node:test'
import { escapeHtml, languageOf } from './own-page.ts'

test('a page of ours speaks the language that the browser wants most, of those it knows', () => {
  const wanted = [
    'ru',
    'RU-ru',
    'ru,en',
    'en,ru',
    'de, ru;q=0.5, en;q=0.4',
    'en;q=0.9, ru;q=0.8',
    'ru;q=0',
    'run',
    '',
    undefined,
  ]
  assert.deepEqual(
    wanted.map((given) => languageOf(given)),
    ['ru', 'ru', 'ru', 'en', 'ru', 'en', 'en', 'en', 'en', 'en'],
  )
})

test('O12: no text from outside ends an element or an attribute', () => {
  assert.equal(escapeHtml(`</p><script>"'&`), '&#60;/p&#62;&#60;script&#62;&#34;&#39;&#38;')
})

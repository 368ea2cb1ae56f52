import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { ERRORS } from '@wmoc/platform/errors'
import { accountEn } from './account-en.ts'
import { accountRu } from './account-ru.ts'
import { activateEn } from './activate-en.ts'
import { activateRu } from './activate-ru.ts'
import { controllerEn } from './controller-en.ts'
import { controllerRu } from './controller-ru.ts'
import { devicePageEn } from './device-page-en.ts'
import { devicePageRu } from './device-page-ru.ts'
import { en } from './en.ts'
import { listEn } from './list-en.ts'
import { listRu } from './list-ru.ts'
import { notificationsEn } from './notifications-en.ts'
import { notificationsRu } from './notifications-ru.ts'
import { pluralRu } from './plural-ru.ts'
import { ru } from './ru.ts'
import { sharingEn } from './sharing-en.ts'
import { sharingRu } from './sharing-ru.ts'

type Tree = { readonly [key: string]: string | Tree }

function flat(tree: Tree, prefix = ''): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === 'string' ? [[prefix + key, value] as const] : [...flat(value, `${prefix}${key}.`)],
    ),
  )
}

const english = new Map([
  ...flat(en),
  ...flat(listEn),
  ...flat(notificationsEn),
  ...flat(activateEn),
  ...flat(controllerEn),
  ...flat(accountEn),
  ...flat(sharingEn),
  ...flat(devicePageEn),
])
const russian = new Map([
  ...flat(ru),
  ...flat(listRu),
  ...flat(notificationsRu),
  ...flat(activateRu),
  ...flat(controllerRu),
  ...flat(accountRu),
  ...flat(sharingRu),
  ...flat(devicePageRu),
])
const names = (text: string) => new Set(text.match(/\{\w+\}/g) ?? [])

suite('texts', () => {
  test('every text is there in both languages', () => {
    assert.deepEqual([...russian.keys()].toSorted(), [...english.keys()].toSorted())
    for (const [key, text] of [...english, ...russian]) assert.notEqual(text.trim(), '', key)
  })

  test('a translation names nothing that the original does not', () => {
    for (const [key, text] of russian) {
      for (const name of names(text)) {
        if (name !== '{count}') assert.ok(names(english.get(key)!).has(name), `${key}: ${name}`)
      }
    }
  })

  test('russian texts are russian', () => {
    for (const [key, text] of russian) {
      if (/^(facts\.id)$/.test(key)) continue
      if (/[A-Za-z]{3,}/.test(english.get(key)!)) assert.match(text, /[а-яё]/i, key)
    }
  })

  test('every key that the pages use is there, and every text is used', () => {
    const source = globSync('**/*.{vue,ts}', { cwd: join(import.meta.dirname, '..') })
      .filter((file) => !file.startsWith('i18n/') && !file.endsWith('.test.ts'))
      .map((file) => readFileSync(join(import.meta.dirname, '..', file), 'utf8'))
      .join('\n')
    const used = new Set(source.match(/(?<=['"`])[a-z][A-Za-z]+\.[\w.-]+(?=['"`])/g) ?? [])
    const calls = source.match(/(?<=\bt\(\s*['`])[\w.-]+(?=['`])/g) ?? []
    for (const key of calls) assert.ok(english.has(key), `no text for ${key}`)
    const groups = [...source.matchAll(/`([a-zA-Z.]+)\.\$\{/g)].map((match) => `${match[1]}.`)
    for (const key of english.keys()) {
      const isUsed =
        used.has(key) || groups.some((group) => key.startsWith(group)) || key.startsWith('notice.')
      assert.ok(isUsed, `nobody shows ${key}`)
    }
  })

  test('errors that have a text are errors of the platform', () => {
    const ours = ['network', 'unexpected', 'rate_limited_for']
    for (const code of Object.keys(en.errors)) assert.ok(code in ERRORS || ours.includes(code), code)
  })
})

test('russian numbers take the right form', () => {
  const form = (count: number) => ['один', 'несколько', 'много'][pluralRu(count, 3)]
  assert.deepEqual([1, 21, 101].map(form), ['один', 'один', 'один'])
  assert.deepEqual([2, 4, 22, 104].map(form), Array(4).fill('несколько'))
  assert.deepEqual([0, 5, 11, 12, 14, 111, 20].map(form), Array(7).fill('много'))
  assert.deepEqual(
    [0, 1, 2, 5].map((count) => pluralRu(count, 4)),
    [0, 1, 2, 3],
  )
})

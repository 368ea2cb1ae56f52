export { default as kit } from '@nuxt/ui/runtime/locale/ru.js'
export { ru as messages } from './ru.ts'

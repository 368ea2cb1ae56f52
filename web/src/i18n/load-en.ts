export { default as kit } from '@nuxt/ui/runtime/locale/en.js'
export { en as messages } from './en.ts'

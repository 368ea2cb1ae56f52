/** Light, dark, or as the system has it: a class on the root, remembered here, and first set by public/theme.js. */
import { shallowRef } from 'vue'
import { readStored, store } from '#src/ui/stored.ts'

export const THEMES = ['system', 'light', 'dark'] as const
export type Theme = (typeof THEMES)[number]

const KEY = 'wmoc.theme'
const systemDark = matchMedia('(prefers-color-scheme: dark)')
const theme = shallowRef<Theme>(THEMES.find((name) => name === readStored(KEY)) ?? 'system')
const isDark = shallowRef(false)

function apply(): void {
  isDark.value = theme.value === 'dark' || (theme.value === 'system' && systemDark.matches)
  document.documentElement.classList.toggle('dark', isDark.value)
  document.documentElement.classList.toggle('light', !isDark.value)
}

systemDark.addEventListener('change', apply)
apply()

export function useTheme() {
  return {
    theme,
    isDark,
    setTheme(next: Theme) {
      theme.value = next
      store(KEY, next === 'system' ? null : next)
      apply()
    },
  }
}

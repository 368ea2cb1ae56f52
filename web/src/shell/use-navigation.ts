/** The places of the portal, once: for the side bar, the bar at the bottom of a phone, the palette and the keys. */
import { computed } from 'vue'
import { useI18n } from '#src/i18n/use-i18n.ts'

export function useNavigation() {
  const { t } = useI18n()
  return computed(() => [
    { to: '/', name: 'overview', label: t('overview.title'), icon: 'i-lucide-layout-dashboard', key: 'o' },
    {
      to: '/controllers',
      name: 'controllers',
      label: t('controllers.title'),
      icon: 'i-lucide-cpu',
      key: 'c',
    },
    { to: '/activate', name: 'activate', label: t('activate.title'), icon: 'i-lucide-circle-plus', key: 'a' },
    {
      to: '/notifications',
      name: 'notifications',
      label: t('notifications.title'),
      icon: 'i-lucide-bell',
      key: 'n',
    },
    {
      to: '/account',
      name: 'account',
      label: t('account.title'),
      icon: 'i-lucide-circle-user-round',
      key: 'u',
    },
  ])
}

/** Where a person goes once signed in: to the code they had scanned, to the page they had asked for, or home. */
import type { SignedIn } from '@wmoc/api/contracts/auth'
import { useRoute, useRouter } from 'vue-router'
import { hasClaim } from '#src/activate/pending-claim.ts'
import { setLocale } from '#src/i18n/use-i18n.ts'
import { safePath } from '#src/session/safe-path.ts'
import { useSession } from '#src/session/use-session.ts'
import { useTheme } from '#src/shell/use-theme.ts'

export function useArrival() {
  const route = useRoute()
  const router = useRouter()
  const session = useSession()
  const { setTheme } = useTheme()

  return async (signedIn: SignedIn): Promise<void> => {
    session.accept(signedIn)
    setTheme(signedIn.user.theme)
    await setLocale(signedIn.user.locale)
    await router.replace(hasClaim(Date.now()) ? '/activate' : safePath(route.query.next))
  }
}

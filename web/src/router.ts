import { createRouter, createWebHistory, type RouteRecordRaw } from 'vue-router'
import {
  accountTexts,
  activateTexts,
  controllerTexts,
  devicePageTexts,
  listTexts,
  notificationsTexts,
  sharingTexts,
  withTexts,
} from '#src/i18n/use-i18n.ts'
import { useSession } from '#src/session/use-session.ts'
import { keepClaim } from '#src/activate/pending-claim.ts'
import GuestShell from '#src/shell/GuestShell.vue'

declare module 'vue-router' {
  interface RouteMeta {
    /** Key of the document's title. */
    title?: string
    /** Nobody need be signed in. */
    public?: boolean
    /** Of no use to who is signed in already. */
    guestOnly?: boolean
  }
}

const guest: RouteRecordRaw[] = [
  {
    path: '/sign-in',
    name: 'sign-in',
    component: () => import('#src/sign-in/SignInPage.vue'),
    meta: { title: 'signIn.title', guestOnly: true },
  },
  {
    path: '/register',
    name: 'register',
    component: () => import('#src/sign-in/RegisterPage.vue'),
    meta: { title: 'register.title', guestOnly: true },
  },
  {
    path: '/forgot-password',
    name: 'forgot-password',
    component: () => import('#src/sign-in/ForgotPasswordPage.vue'),
    meta: { title: 'forgot.title' },
  },
  {
    path: '/reset-password',
    name: 'reset-password',
    component: () => import('#src/sign-in/ResetPasswordPage.vue'),
    meta: { title: 'reset.title' },
  },
  {
    path: '/verify-email',
    name: 'verify-email',
    component: () => import('#src/sign-in/VerifyEmailPage.vue'),
    meta: { title: 'verify.title' },
  },
]

const controllerTabs: RouteRecordRaw[] = [
  { path: '', name: 'controller', component: () => import('#src/controller/OverviewTab.vue') },
  { path: 'page', name: 'controller-page', component: () => import('#src/controller/WebPageTab.vue') },
  { path: 'metrics', name: 'controller-metrics', component: () => import('#src/controller/MetricsTab.vue') },
  { path: 'logs', name: 'controller-logs', component: () => import('#src/controller/LogsTab.vue') },
  {
    path: 'commands',
    name: 'controller-commands',
    component: () => import('#src/controller/CommandsTab.vue'),
  },
  {
    path: 'settings',
    name: 'controller-settings',
    component: () => import('#src/controller/SettingsTab.vue'),
  },
]

const signedIn: RouteRecordRaw[] = [
  {
    path: '',
    name: 'overview',
    component: () => import('#src/overview/OverviewPage.vue'),
    meta: { title: 'overview.title' },
  },
  {
    path: 'controllers',
    name: 'controllers',
    component: () => withTexts(listTexts, import('#src/controllers/ControllersPage.vue')),
    meta: { title: 'controllers.title' },
  },
  {
    path: 'activate',
    name: 'activate',
    component: () => withTexts(activateTexts, import('#src/activate/ActivatePage.vue')),
    meta: { title: 'activate.title' },
  },
  {
    path: 'controllers/:id',
    component: () =>
      withTexts(sharingTexts, withTexts(controllerTexts, import('#src/controller/ControllerPage.vue'))),
    props: true,
    meta: { title: 'controller.title' },
    children: controllerTabs.map((tab) => ({ ...tab, props: true }) as RouteRecordRaw),
  },
  {
    path: 'notifications',
    name: 'notifications',
    component: () => withTexts(notificationsTexts, import('#src/notifications/NotificationsPage.vue')),
    meta: { title: 'notifications.title' },
  },
  {
    path: 'account',
    name: 'account',
    component: () => withTexts(accountTexts, import('#src/account/AccountPage.vue')),
    meta: { title: 'account.title' },
  },
]

/** Around devices' own pages: the portal's frame, and no more of the portal. */
const devicePages: RouteRecordRaw[] = [
  // The gateway sends browsers here that open `/c/{id}/…`; the address goes back to what it was.
  { path: '/open/:rest(.*)*', redirect: (to) => to.fullPath.replace(/^\/open\//, '/c/') },
  {
    path: '/c/:id([0-9a-f-]{36})/:path(.*)*',
    name: 'device-page',
    component: () =>
      withTexts(
        sharingTexts,
        withTexts(controllerTexts, withTexts(devicePageTexts, import('#src/device-page/DevicePage.vue'))),
      ),
    props: ({ params }) => ({ id: params['id'] }),
    meta: { title: 'devicePage.title' },
  },
  {
    path: '/shared/:id([0-9a-f-]{36})',
    name: 'shared-page',
    component: () =>
      withTexts(sharingTexts, withTexts(devicePageTexts, import('#src/device-page/SharedPage.vue'))),
    props: true,
    meta: { public: true, title: 'devicePage.shared' },
  },
]

export const router = createRouter({
  history: createWebHistory(),
  scrollBehavior: (to, from, saved) => saved ?? (to.path === from.path ? false : { top: 0 }),
  routes: [
    {
      path: '/welcome',
      component: GuestShell,
      meta: { public: true },
      redirect: '/sign-in',
      children: guest,
    },
    {
      path: '/dev/mail',
      name: 'dev-mail',
      component: () => import('#src/dev-mail/DevMailPage.vue'),
      meta: { public: true, title: 'devMail.title' },
    },
    ...devicePages,
    { path: '/', component: () => import('#src/shell/AppShell.vue'), children: signedIn },
    {
      path: '/:path(.*)*',
      name: 'not-found',
      component: () => import('#src/shell/NotFoundPage.vue'),
      meta: { public: true, title: 'notFound.title' },
    },
  ],
})

router.beforeEach(async (to) => {
  const session = useSession()
  if (session.status.value === 'unknown') await restoreWithPatience(session.restore)
  const isSignedIn = session.status.value === 'signed-in'
  if (to.meta.guestOnly && isSignedIn && !to.hash.startsWith('#link=')) return '/'
  if (to.meta.public || isSignedIn) return true
  if (to.name === 'activate') keepClaim(to.hash, Date.now())
  return { name: 'sign-in', query: to.path === '/' ? {} : { next: to.path + searchOf(to.fullPath) } }
})

/** The server may be starting: no answer is not the same as "signed out". */
async function restoreWithPatience(restore: () => Promise<void>): Promise<void> {
  for (let delayMs = 500; ; delayMs = Math.min(delayMs * 2, 8_000)) {
    try {
      // oxlint-disable-next-line eslint/no-await-in-loop -- one try after the other
      return await restore()
    } catch {
      // oxlint-disable-next-line eslint/no-await-in-loop
      await new Promise((done) => setTimeout(done, delayMs))
    }
  }
}

/** The fragment stays out of `next`: a claim's code belongs in no address that a server sees. */
function searchOf(fullPath: string): string {
  const search = fullPath.split('#')[0]?.split('?')[1]
  return search ? `?${search}` : ''
}

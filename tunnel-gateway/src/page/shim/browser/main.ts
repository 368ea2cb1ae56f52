/**
 * The shim: the first script of a device's page. What the page asks for while it runs goes where what it was made of
 * went: below the page's prefix, at the device's ports. One script for pages and for the workers they start, small
 * enough to be in front of everything, and never a reason for a page to fail.
 */
import { watchLinks, wrapDom } from './dom.ts'
import { here } from './here.ts'
import { watchHistory, watchNavigation } from './history.ts'
import { wrapNetwork } from './network.ts'
import { giveCookies, giveStorage } from './storage.ts'
import { startWorker, wrapWorkers } from './workers.ts'

wrapNetwork()
if (here.base) startWorker(here.base)
else {
  wrapWorkers()
  wrapDom()
  watchLinks()
  watchNavigation()
  watchHistory()
  if (here.prefix) {
    giveStorage()
    giveCookies()
  }
}

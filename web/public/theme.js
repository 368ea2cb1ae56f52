// Before the first paint, so that a dark room stays dark. Kept in step by src/shell/use-theme.ts.
;(function () {
  var choice = 'system'
  try {
    choice = localStorage.getItem('wmoc.theme') || 'system'
  } catch {}
  var dark = choice === 'dark' || (choice === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
  document.documentElement.classList.add(dark ? 'dark' : 'light')
})()

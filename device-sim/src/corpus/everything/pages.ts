/** The documents of the fixture. */

/** What has to say `ok`, in the order of the table. */
export const CHECKS = [
  'script-classic',
  'script-relative',
  'script-inserted',
  'module',
  'module-import',
  'module-relative',
  'module-inline',
  'module-dynamic',
  'css-link',
  'css-import',
  'css-url',
  'css-attribute',
  'css-inline',
  'css-rule',
  'font',
  'img',
  'img-relative',
  'img-srcset',
  'img-picture',
  'video-poster',
  'svg-image',
  'fetch',
  'fetch-relative',
  'fetch-origin',
  'fetch-url',
  'fetch-request',
  'fetch-post',
  'fetch-credentials',
  'fetch-redirect',
  'xhr',
  'xhr-credentials',
  'websocket',
  'eventsource',
  'worker',
  'worker-import',
  'worker-module',
  'inner-html',
  'insert-html',
  'document-write',
  'set-attribute',
  'fragment',
  'audio',
  'form-get',
  'form-post',
  'form-multipart',
  'form-script',
  'link',
  'frame',
  'frame-location',
  'history',
  'storage',
  'cookie-device',
  'cookie-script',
  'beacon',
  'port-websocket',
  'port-fetch',
  'port-frame',
  'port-script',
  'location',
  'storage-kept',
  'meta-refresh',
] as const

const rows = CHECKS.map((name) => `<tr id="${name}"><th scope="row">${name}</th><td>waiting</td></tr>`).join(
  '',
)
const table = `<table id="results"><tbody>${rows}</tbody></table>`

function layout(title: string, head: string, body: string): string {
  return `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title>
<script src="/all/results.js"></script>${head}</head><body><h1>${title}</h1>${table}${body}</body></html>`
}

/** Everything but what needs another document. */
export function mainPage(): string {
  return layout(
    'Everything',
    `<link rel="stylesheet" href="/all/main.css"><style>@import "/all/inline.css"; #style-inline{content:url(/all/pixel.svg?inline)}</style>
<script src="/all/classic.js"></script><script src="all/relative.js"></script>
<script type="module" src="/all/module.js"></script><script type="module">import { name } from '/all/imported.js?inline'; done('module-inline', name === 'imported')</script>`,
    `<p><span id="style-link">link</span> <span id="style-import">import</span> <i id="style-url"></i> <i id="style-inline"></i> <i id="style-rule"></i>
<i id="style-attribute" style="content:url('/all/pixel.svg?attribute')"></i> <span style="font-family:Fixture">font</span></p>
<p><img id="img-1" src="/all/pixel.svg?img" alt=""><img id="img-2" src="all/pixel.svg?relative" alt=""><img id="img-3" srcset="/all/pixel.svg?srcset 1x, /all/pixel.svg?srcset2 2x" alt="">
<picture><source srcset="/all/pixel.svg?picture"><img id="img-4" src="/all/none.svg" alt=""></picture>
<video poster="/all/pixel.svg?poster" width="20" height="20"></video><svg width="9" height="9"><image href="/all/pixel.svg?svg" width="9" height="9"/></svg></p>
<script>document.write('<img id="img-5" src="/all/pixel.svg?written" alt="">')</script>
<form id="get" action="/all/sink" target="sink"><input name="from" value="form-get"></form>
<form id="post" method="post" action="/all/sink?from=form-post" target="sink"><input name="a" value="b c"></form>
<form id="multipart" method="post" enctype="multipart/form-data" action="/all/sink?from=form-multipart" target="sink"><input type="file" name="file"></form>
<a id="a" href="/all/sink?from=link" target="sink">link</a>
<iframe src="/all/child" title="child"></iframe><iframe src="/all/goer" title="goer"></iframe><div id="box"></div><script src="/all/main.js"></script>`,
  )
}

/** Where `location = '/api/landed'` of the main page leads: a path that the portal's host has, too. */
export function landedPage(): string {
  return layout(
    'Landed',
    '<meta http-equiv="refresh" content="1;url=/all/end">',
    `<script>goOn(); done('location', true); done('storage-kept', localStorage.getItem('kept') === 'yes' && sessionStorage.mine === 'too'); keep()</script>`,
  )
}

export function endPage(): string {
  return layout(
    'End',
    '',
    `<p><a href="/">again</a></p><script>addEventListener('DOMContentLoaded', () => { goOn(); done('meta-refresh', true); document.body.dataset.done = 'yes' })</script>`,
  )
}

/** In a frame: says that it is there. */
export function childPage(port = ''): string {
  return `<!DOCTYPE html><title>child</title><script>fetch('/all/data.json').then((r) => r.json()).then((data) => parent.postMessage({ from: ${port === '' ? `'frame', ok: data.name === 'data'` : `'port-frame', ok: data.port === ${port}`} }, '*'))</script>`
}

/** A frame that goes on by itself. */
export function goerPage(): string {
  return `<!DOCTYPE html><title>goer</title><script>location.href = '/all/sink?from=frame-location'</script>`
}

/** What a form or a link brought, told to the page around it. */
export function sinkPage(from: string, body: string): string {
  const told = JSON.stringify({ from, body }).replaceAll('<', '\\u003c')
  return `<!DOCTYPE html><title>sink</title><script>parent.postMessage(${told}, '*')</script>`
}

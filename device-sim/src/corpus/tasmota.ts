/**
 * After Tasmota: no files at all, everything inline and relative; the page asks `.?m=1` again and again by XMLHttpRequest
 * and puts the answer into itself, menus are forms with GET, the console is polled, an update is a multipart form.
 */
import { storeUpload } from '../page/files.ts'
import type { PageModel } from '../page/model.ts'
import { html } from '../page/answer.ts'
import { corpusDevice, text, type CorpusDevice } from './fixture.ts'

const STYLE = `<style>div,fieldset,input,select{padding:5px;font-size:1em}button{border:0;border-radius:.3rem;background:#1fa3ec;color:#fff;line-height:2.4rem;width:100%}
body{text-align:center;font-family:verdana,sans-serif}.bgrn{background:#47c266}</style>`

const page = (title: string, body: string, script = '') =>
  html(`<!DOCTYPE html><html lang="en" class=""><head><meta charset='utf-8'><meta name="viewport" content="width=device-width,initial-scale=1,user-scalable=no"/><title>${title}</title>
<script>var x=null,lt,pc='';function eb(s){return document.getElementById(s);}
function wl(f){window.addEventListener('load',f);}
${script}</script>${STYLE}</head><body><div style='display:inline-block;min-width:340px;'><h2>Tasmota Plug</h2>${body}
<div style='text-align:right;font-size:11px;'><hr/><a href='https://bit.ly/tasmota' target='_blank'>Tasmota 14.2.0</a></div></div></body></html>`)

const POLL = `function la(p){var a='';if(la.arguments.length==1){a=p;clearTimeout(lt);}
if(x!=null){x.abort();}
x=new XMLHttpRequest();
x.onreadystatechange=()=>{if(x.readyState==4&&x.status==200){var s=x.responseText.replace(/{t}/g,"<table style='width:100%'>").replace(/{s}/g,"<tr><th>").replace(/{m}/g,"</th><td>").replace(/{e}/g,"</td></tr>");eb('l1').innerHTML=s;}};
x.open('GET','.?m=1'+a,true);x.send();lt=setTimeout(la,2345);}
wl(la);`

const CONSOLE = `var id=0;function l(p){var c,o='';clearTimeout(lt);c=eb('c1');if(p==1){o='&c1='+encodeURIComponent(c.value);c.value='';}
x=new XMLHttpRequest();x.onreadystatechange=function(){if(x.readyState==4&&x.status==200){var d=x.responseText.split('}1');id=d.shift();if(d[0]){eb('t1').value+=d[0];}}};
x.open('GET','cs?c2='+id+o,true);x.send();lt=setTimeout(l,2345);return false;}
wl(l);`

export function tasmota(model: PageModel): CorpusDevice {
  let isOn = false
  let lines = ['00:00:00 CMD: ready']
  return corpusDevice({
    routes: {
      'GET /': (_request, url) => {
        if (!url.searchParams.has('m'))
          return page(
            'Tasmota Plug - Main Menu',
            `<div style='padding:0;' id='l1' name='l1'></div>
<table style='width:100%'><tr><td><button onclick='la("&o=1");' id='o1'>Toggle</button></td></tr></table>
<form action='cn' method='get'><button name=''>Configuration</button></form>
<form action='cs' method='get'><button name=''>Console</button></form>
<form action='up' method='get'><button name=''>Firmware Upgrade</button></form>`,
            POLL,
          )
        if (url.searchParams.has('o')) isOn = !isOn
        return text(`{t}{s}State{m}<span id='state'>${isOn ? 'ON' : 'OFF'}</span>{e}</table>`)
      },
      'GET /cn': () =>
        page(
          'Tasmota Plug - Configuration',
          `<form action='md' method='get'><button>Configure Module</button></form><form action='.' method='get'><button>Main Menu</button></form>`,
        ),
      'GET /md': (_request, url) =>
        page(
          'Tasmota Plug - Module',
          url.searchParams.has('save')
            ? `<p id='saved'>Module ${url.searchParams.get('g99') === '2' ? 'two' : 'one'} saved</p><form action='.' method='get'><button>Main Menu</button></form>`
            : `<form method='get' action='md'><select name='g99'><option value='1'>one</option><option value='2'>two</option></select><button name='save' type='submit' class='button bgrn'>Save</button></form>`,
        ),
      'GET /cs': (_request, url) => {
        if (!url.searchParams.has('c2'))
          return page(
            'Tasmota Plug - Console',
            `<textarea readonly id='t1' cols='50' rows='10'></textarea><form method='get' onsubmit='return l(1);'><input id='c1' placeholder='Enter command' autofocus><button>Send</button></form>`,
            CONSOLE,
          )
        const command = url.searchParams.get('c1')
        if (command !== null) lines = [...lines, `00:00:01 CMD: ${command}`]
        const from = Number(url.searchParams.get('c2'))
        return text(
          `${lines.length}}1${lines
            .slice(from)
            .map((line) => `${line}\n`)
            .join('')}`,
        )
      },
      'GET /up': () =>
        page(
          'Tasmota Plug - Firmware',
          `<form method='post' action='u2' enctype='multipart/form-data'><input type='file' name='u2'><button type='submit'>Start upgrade</button></form>`,
        ),
      'POST /u2': async (request) => {
        const stored = await storeUpload(model, request, 'u2')
        return page(
          'Tasmota Plug - Info',
          `<b id='result'>Upload ${stored ? `Successful: ${stored.size}` : 'Failed'}</b><form action='.' method='get'><button>Main Menu</button></form>`,
        )
      },
    },
  })
}

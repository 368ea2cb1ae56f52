import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bytes, html, IMPORT_MAP, inCharacters, PAGE, PLACE } from '#src/page/rewrite/testing/pages.ts'

type Vector = readonly [given: string, expected?: string]

const P = '/c/1~cap'

/** Without an expectation it passes as it is. */
const VECTORS: Readonly<Record<string, readonly Vector[]>> = {
  'addresses in attributes': [
    ['<a href="/x">', `<a href="${P}/x">`],
    ["<a href='/x'>", `<a href='${P}/x'>`],
    ['<a href=/x>', `<a href=${P}/x>`],
    ['<A HREF = "/x" >', `<A HREF = "${P}/x" >`],
    ['<img src="/i.png" alt="/i.png">', `<img src="${P}/i.png" alt="/i.png">`],
    ['<img/src="/i.png"/>', `<img/src="${P}/i.png"/>`],
    ['<form action="/save" method=post>', `<form action="${P}/save" method=post>`],
    ['<button formaction="/x">', `<button formaction="${P}/x">`],
    ['<video poster="/p.jpg" src="/v.mp4">', `<video poster="${P}/p.jpg" src="${P}/v.mp4">`],
    ['<object data="/o.svg">', `<object data="${P}/o.svg">`],
    ['<div data="/o">'],
    ['<body background="/b.gif">', `<body background="${P}/b.gif">`],
    ['<html manifest="/app.appcache">', `<html manifest="${P}/app.appcache">`],
    ['<iframe src="/f">', `<iframe src="${P}/f">`],
    ['<blockquote cite="/x">'],
    ['<a ping="/track /b" href="y">', '<a  href="y">'],
    ['<a href="/a?b=1&amp;c=2&copy=3#/x">', `<a href="${P}/a?b=1&amp;c=2&copy=3#/x">`],
    ['<a href="/caf\u00c3\u00a0">', `<a href="${P}/caf\u00c3\u00a0">`],
    ['<a href="&#x2F;x">', `<a href="${P}/x">`],
    ['<a href="&sol;x&quot;">', `<a href="${P}/x&quot;">`],
    ['<a href=" \n/x">', `<a href="${P}/x">`],
    ['<a href="">'],
    ['<a href>'],
    ['<a href=>'],
    ['<a data-href="/x" hrefs="/x">'],
  ],
  'whose address it is': [
    ['<a href="http://192.168.1.5/x">', `<a href="${P}/x">`],
    ['<a href="http://esp.local">', `<a href="${P}/">`],
    ['<a href="//esp.local/x">', `<a href="${P}/x">`],
    ['<img src="http://192.168.1.5:81/stream">', `<img src="${P}~81/stream">`],
    ['<a href="ws://esp.local:81/ws">', `<a href="${P}~81/ws">`],
    ['<a href="/c/1/x">', `<a href="${P}/x">`],
    ['<a href="https://portal.example/c/1/x">', `<a href="${P}/x">`],
    [`<a href="${P}/x">`],
    [`<a href="${P}~81/x">`],
    ['<a href="http://192.168.1.6/x">'],
    ['<a href="https://cdn.example/x">'],
    ['<a href="//cdn.example/x">'],
    ['<a href="x">'],
    ['<a href="../x">', `<a href="${P}/x">`],
    ['<a href="javascript:go(\'/x\')">'],
    ['<img src="data:image/png;base64,/x">'],
    ['<a href="#/x">'],
    ['<a href="mailto:a@esp.local">'],
  ],
  'lists of images': [
    ['<img srcset="/a.png 1x, /b.png 2x,c.png 3x">', `<img srcset="${P}/a.png 1x, ${P}/b.png 2x,c.png 3x">`],
    ['<source srcset="/a,b.png, /c.png">', `<source srcset="${P}/a,b.png, ${P}/c.png">`],
    ['<img srcset="data:image/png,/x 1x, /y">', `<img srcset="data:image/png,/x 1x, ${P}/y">`],
    ['<link imagesrcset="/a.png 100w" rel=preload>', `<link imagesrcset="${P}/a.png 100w" rel=preload>`],
  ],
  styles: [
    ['<p style="background:url(/x.png)">', `<p style="background:url(${P}/x.png)">`],
    [`<p style="background:url('/x.png')">`, `<p style="background:url('${P}/x.png')">`],
    ['<p style="background:url(&quot;/x.png&quot;)">', `<p style="background:url(&quot;${P}/x.png&quot;)">`],
    ['<p style="content:&eacute;/x">'],
    ['<style>a{b:url(/x)}</style>', `<style>a{b:url(${P}/x)}</style>`],
    ['<style>@import "/x";</style><a href="/y">', `<style>@import "${P}/x";</style><a href="${P}/y">`],
    ['<style>a{b:url(/x', `<style>a{b:url(${P}/x`],
    ['<svg><path fill="url(/f.svg#a)"/></svg>', `<svg><path fill="url(${P}/f.svg#a)"/></svg>`],
  ],
  'SVG in HTML': [
    ['<svg><image xlink:href="/i.png"/></svg>', `<svg><image xlink:href="${P}/i.png"/></svg>`],
    ['<svg><use href="/s.svg#a"/></svg>', `<svg><use href="${P}/s.svg#a"/></svg>`],
    ['<svg><title/><style/></svg><a href="/x">', `<svg><title/><style/></svg><a href="${P}/x">`],
    ['<svg><title/><p><title><a href="/x"></title>', '<svg><title/><p><title><a href="/x"></title>'],
  ],
  'what is text and no markup': [
    ['<script>var a = \'<a href="/x">\'</script>'],
    ['<!-- <a href="/x"> -->'],
    ['<textarea><a href="/x"></textarea>'],
    ['<title><a href="/x"></title>'],
    ['<a title="<a href=\'/x\'>">'],
    ['<![CDATA[ <a href="/x">'],
    ['a < b > c <3 /x'],
    ['<plaintext><a href="/x">'],
  ],
  refreshes: [
    [
      '<meta http-equiv="refresh" content="5; url=/next">',
      `<meta http-equiv="refresh" content="5; url=${P}/next">`,
    ],
    [
      '<meta content=\'0;URL="/next"\' http-equiv=Refresh>',
      `<meta content='0;URL="${P}/next"' http-equiv=Refresh>`,
    ],
    ['<meta http-equiv=refresh content=5;/next>', `<meta http-equiv=refresh content=5;${P}/next>`],
    ['<meta http-equiv=refresh content="5">'],
    ['<meta http-equiv=refresh content="0; url=next">'],
    ['<meta name=refresh content="0; url=/next">'],
  ],
  integrity: [
    ['<link rel=stylesheet integrity="sha256-a" href="/x.css">', `<link rel=stylesheet  href="${P}/x.css">`],
    [
      '<link rel=preload as=style href="x.css" integrity=sha256-a>',
      '<link rel=preload as=style href="x.css" >',
    ],
    ['<link rel=stylesheet integrity="sha256-a" href="https://cdn.example/x.css">'],
    [
      '<script integrity="sha256-a" src="/x.js"></script>',
      `<script crossorigin="" integrity="sha256-a" src="${P}/x.js"></script>`,
    ],
    ['<script integrity="sha256-a" src="x.js" crossorigin></script>'],
    ['<script integrity="sha256-a" src="https://cdn.example/x.js"></script>'],
  ],
  'windows around the frame': [
    ['<a target="_top" href="x">', '<a target="_self" href="x">'],
    ['<form target=_parent>', '<form target="_self">'],
    ['<a target="_blank">'],
  ],
  base: [
    ['<base href="/sub/"><a href="/x"><a href="y">', `<base href="${P}/sub/"><a href="${P}/x"><a href="y">`],
    ['<base href="/sub/"><a href="../y">'.replace('/sub/', 'sub/'), '<base href="sub/"><a href="../y">'],
    [
      '<base href="https://cdn.example/"><a href="/x"><a href="http://esp.local/y">',
      `<base href="https://cdn.example/"><a href="/x"><a href="https://portal.example${P}/y">`,
    ],
    ['<base href="http://esp.local:81/"><a href="/x">', `<base href="${P}~81/"><a href="${P}~81/x">`],
    ['<base target="_blank"><a href="/x">', `<base target="_blank"><a href="${P}/x">`],
  ],
}

suite('a fragment of HTML', () => {
  for (const [about, vectors] of Object.entries(VECTORS))
    test(`maps ${about}`, () => {
      for (const [given, expected = given] of vectors) {
        assert.equal(html(given), expected, given)
        assert.equal(html(given, {}, inCharacters), expected, `${given} in characters`)
      }
    })

  test('keeps the page of another port on that port', () => {
    const page = { ...PAGE, place: { ...PLACE, port: 81 } }
    assert.equal(
      html('<a href="/x"><a href="http://esp.local/y">', { page }),
      `<a href="${P}~81/x"><a href="${P}/y">`,
    )
  })

  test('climbs no higher than the page’s own root', () => {
    const page = { ...PAGE, path: '/a/b/c.html?d=/e/f/g' }
    assert.equal(
      html('<a href="../../x"><a href="../../../x?..">', { page }),
      `<a href="../../x"><a href="${P}/x?..">`,
    )
  })
})

/** What comes first, and the rest. */
const DOCUMENTS: readonly Vector[] = [
  ['<!doctype html><html><head><title>x</title>', '<!doctype html><html><head><shim><title>x</title>'],
  ['<HTML lang=en>\n<HEAD profile=x>\n<p>', '<HTML lang=en>\n<HEAD profile=x><shim>\n<p>'],
  ['<!-- a --> <!DOCTYPE html><!-- <b> --><body>', '<!-- a --> <!DOCTYPE html><!-- <b> --><shim><body>'],
  ['<html><body>', '<html><shim><body>'],
  ['<p>', '<shim><p>'],
  ['<frameset><frame src="/a"></frameset>', `<shim><frameset><frame src="${P}/a"></frameset>`],
  [' \n plain text', ' \n <shim>plain text'],
  ['</head><p>', '<shim></head><p>'],
  ['</p><b>', '</p><shim><b>'],
  ['a<b', '<shim>a<b'],
  ['<?xml version="1.0"?><html><head>', '<?xml version="1.0"?><html><head><shim>'],
  // Nothing to be shown: nothing to be put in.
  ['', ''],
  ['<!doctype html>', '<!doctype html>'],
]

suite('a document', () => {
  test('gets the shim before everything that could run, and behind its doctype', () => {
    for (const [given, expected = given] of DOCUMENTS) {
      assert.equal(html(given, { isDocument: true }), expected, given)
      assert.equal(html(given, { isDocument: true }, inCharacters), expected, `${given} in characters`)
    }
  })

  test('gets an import map before its first script', () => {
    const vectors: readonly Vector[] = [
      ['<head><link rel=icon href=x><script>', `<head><shim><link rel=icon href=x>${IMPORT_MAP}<script>`],
      [
        '<p><script type=module src=/x></script><script>',
        `<shim><p>${IMPORT_MAP}<script type=module src=${P}/x></script><script>`,
      ],
      ['<link rel=modulepreload href=/x>', `<shim>${IMPORT_MAP}<link rel=modulepreload href=${P}/x>`],
      ['<script type="application/json">{}</script>', '<shim><script type="application/json">{}</script>'],
    ]
    for (const [given, expected = given] of vectors) {
      assert.equal(html(given, { isDocument: true }), expected, given)
      assert.equal(html(given, { isDocument: true }, inCharacters), expected, `${given} in characters`)
    }
  })

  test('has its own import map merged with ours', () => {
    const given = {
      imports: { three: '/lib/three.js', './a': './b', '/lib/': '/lib/v2/', far: 'https://cdn.example/x.js' },
      scopes: { '/old/': { three: '/lib/three1.js' } },
      integrity: { '/lib/three.js': 'sha256-a' },
    }
    const out = html(`<script type="importmap">${JSON.stringify(given)}</script><script type=module>`, {
      isDocument: true,
    })
    const map = /^<shim><script type="importmap">(.*)<\/script><script type=module>$/s.exec(out)?.[1]
    assert.deepEqual(JSON.parse(map ?? ''), {
      imports: {
        '/': `${P}/`,
        [`${P}/`]: `${P}/`,
        [`${P}~81/`]: `${P}~81/`,
        three: `${P}/lib/three.js`,
        './a': './b',
        '/lib/': `${P}/lib/v2/`,
        [`${P}/lib/`]: `${P}/lib/v2/`,
        far: 'https://cdn.example/x.js',
      },
      scopes: { [`${P}/old/`]: { three: `${P}/lib/three1.js` } },
      integrity: { '/lib/three.js': 'sha256-a', [`${P}/lib/three.js`]: 'sha256-a' },
    })
    const broken = '<script type=importmap>{</script>'
    assert.equal(html(broken), broken)
    assert.ok(!html('<script type=importmap>{"a":"\\u003c/script>"}</script>').includes('"</script>'))
  })

  test('in an attribute is rewritten as one', () => {
    assert.equal(
      html('<iframe srcdoc="<p title=&quot;a&amp;amp;b&quot;><img src=/x>">'),
      `<iframe srcdoc="<shim><p title=&quot;a&amp;amp;b&quot;><img src=${P}/x>">`,
    )
    assert.equal(
      html('<iframe srcdoc=\'<a href="/x">\'>'),
      `<iframe srcdoc="<shim><a href=&quot;${P}/x&quot;>">`,
    )
  })

  test('of XHTML gets nothing put in', () => {
    const given =
      '<?xml version="1.0"?><html xmlns="x"><head><style>a{}</style><script src="/x"/></head></html>'
    assert.equal(html(given, { isXml: true }), given.replace('"/x"', `"${P}/x"`))
  })

  test('passes what is longer than can be held, whatever pieces it comes in', () => {
    const long = 'x'.repeat(70_000)
    const vectors: readonly Vector[] = [
      [`<a href="/${long}"><a href="/y">`, `<a href="/${long}"><a href="${P}/y">`],
      [`<a href="/y" title="${long}" src="/z">`, `<a href="${P}/y" title="${long}" src="${P}/z">`],
      [`<a ${long}=1 href="/y">`, `<a ${long}=1 href="${P}/y">`],
      [`<a${long} href="/y"></a>`, `<a${long} href="${P}/y"></a>`],
      [`<script${' '.repeat(70_000)}type=x src="/y">`, `<script${' '.repeat(70_000)}type=x src="${P}/y">`],
      [
        `<script type=importmap>{"a":"${long}"}</script><a href="/y">`,
        `<script type=importmap>{"a":"${long}"}</script><a href="${P}/y">`,
      ],
    ]
    const cut = (size: number) => (text: string) => text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? []
    for (const [given, expected = given] of vectors)
      for (const size of [1_000, 16_384, 65_535, 200_000])
        assert.equal(html(given, {}, cut(size)), expected, `${given.slice(0, 20)} by ${size}`)
  })
})

suite('the encoding of a page', () => {
  const page = (text: string, encoding: BufferEncoding, mark: readonly number[] = []) =>
    Buffer.concat([Buffer.from(mark), Buffer.from(text, encoding)])

  test('is kept byte for byte where ASCII is ASCII', () => {
    const cyrillic = Buffer.from([0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2, 0xa0])
    for (const charset of ['windows-1251', 'koi8-r', 'iso-8859-1', 'utf-8', 'no-such-charset', '']) {
      const given = Buffer.concat([
        Buffer.from('<p title="'),
        cyrillic,
        Buffer.from('"><a href="/'),
        cyrillic,
        Buffer.from('">'),
      ])
      const expected = Buffer.concat([
        Buffer.from('<shim><p title="'),
        cyrillic,
        Buffer.from(`"><a href="${P}/`),
        cyrillic,
        Buffer.from('">'),
      ])
      for (const size of [1, 2, 1_000]) assert.deepEqual(bytes(given, { charset }, size), expected, charset)
    }
  })

  test('may be UTF-16, by a mark or by what the transport says', () => {
    const given = '<p>Пр😀<a href="/x">'
    const expected = `<shim><p>Пр😀<a href="${P}/x">`
    const big = (text: string) => Buffer.from(text, 'utf16le').swap16()
    for (const size of [1, 3, 1_000]) {
      assert.deepEqual(
        bytes(page(given, 'utf16le', [0xff, 0xfe]), {}, size),
        page(expected, 'utf16le', [0xff, 0xfe]),
      )
      assert.deepEqual(bytes(page(given, 'utf16le'), { charset: 'UTF-16' }, size), page(expected, 'utf16le'))
      const mark = Buffer.from([0xfe, 0xff])
      assert.deepEqual(
        bytes(Buffer.concat([mark, big(given)]), {}, size),
        Buffer.concat([mark, big(expected)]),
      )
      assert.deepEqual(bytes(big(given), { charset: 'utf-16be' }, size), big(expected))
      assert.deepEqual(
        bytes(Buffer.concat([big(given), mark.subarray(0, 1)]), { charset: 'utf-16be' }, size),
        Buffer.concat([big(expected), mark.subarray(0, 1)]),
      )
    }
  })

  test('with a mark keeps the mark first', () => {
    assert.deepEqual(
      bytes(page('<p>', 'utf8', [0xef, 0xbb, 0xbf])),
      page('<shim><p>', 'utf8', [0xef, 0xbb, 0xbf]),
    )
  })

  test('may hide a backslash in a character of two bytes', () => {
    const given = Buffer.from(
      '<meta charset=shift_jis><style>a{content:"\x95\x5c";b:url(/x)}</style>',
      'latin1',
    )
    const expected = Buffer.from(
      `<shim><meta charset=shift_jis><style>a{content:"\x95\x5c";b:url(${P}/x)}</style>`,
      'latin1',
    )
    for (const size of [1, 1_000]) assert.deepEqual(bytes(given, {}, size), expected)
    const sheet = Buffer.from('@charset "Shift_JIS";a{content:"\x95\x5c";b:url(/x)}', 'latin1')
    const mapped = Buffer.from(`@charset "Shift_JIS";a{content:"\x95\x5c";b:url(${P}/x)}`, 'latin1')
    for (const size of [1, 1_000]) assert.deepEqual(bytes(sheet, { kind: 'css' }, size), mapped)
  })

  test('that switches its meaning within the text leaves the text alone', () => {
    const given = Buffer.from('<p><a href="/x">')
    assert.deepEqual(bytes(given, { charset: 'iso-2022-jp' }), given)
    const told = Buffer.from('<meta charset=iso-2022-jp><a href="/x">')
    assert.equal(bytes(told).toString(), '<shim><meta charset=iso-2022-jp><a href="/x">')
  })
})

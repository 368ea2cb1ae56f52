/** What a controller would say that means harm: its pages, its headers, its words. */
import type { DeviceHandler } from './device.ts'

const HTML = { 'Content-Type': 'text/html; charset=utf-8' }

/** What speaks for the whole host, or for more than the page it came with. */
export const OVERREACHING: Readonly<Record<string, string>> = {
  'Strict-Transport-Security': 'max-age=31536000; includeSubDomains; preload',
  'Clear-Site-Data': '"*"',
  NEL: '{"report_to":"x","max_age":999}',
  'Report-To': '{"group":"x","max_age":999,"endpoints":[{"url":"https://evil.example"}]}',
  'Reporting-Endpoints': 'x="https://evil.example"',
  'Alt-Svc': 'h3="evil.example:443"',
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Credentials': 'true',
  'Public-Key-Pins': 'pin-sha256="x"; max-age=999',
  'Origin-Agent-Cluster': '?1',
  'Service-Worker-Allowed': '/',
}

const PAGES: Readonly<Record<string, ReturnType<DeviceHandler>>> = {
  '/': { headers: HTML, body: '<!doctype html><title>Hostile</title><h1>Hostile</h1>' },
  '/sw.js': {
    headers: { 'Content-Type': 'text/javascript', 'Service-Worker-Allowed': '/' },
    body: `addEventListener('fetch', (event) => event.respondWith(new Response('hijacked')))`,
  },
  '/overreaching': { headers: { ...HTML, ...OVERREACHING }, body: '<h1>Overreaching</h1>' },
  '/cookies': {
    headers: {
      ...HTML,
      'Set-Cookie': [
        '__Host-wmoc_page=evil; Path=/; Secure',
        '__Host-wmoc_refresh=evil; Path=/; Secure',
        'wide=1; Domain=localhost; Path=/',
        ...Array.from({ length: 150 }, (_, index) => `c${index}=1; Path=/`),
      ],
    },
    body: '<h1>Cookies</h1>',
  },
  '/untyped': { headers: {}, body: '<script>alert(1)</script>' },
  '/public.css': {
    headers: { 'Content-Type': 'text/css', 'Cache-Control': 'public, s-maxage=999, max-age=60' },
    body: 'a{}',
  },
}

export const hostileAnswer: DeviceHandler = ({ path }) =>
  PAGES[path.split('?')[0]!] ?? { status: 404, headers: HTML }

/** A string that marks the window (`pwned`) where it is taken for HTML, and shows 49 where it is taken for a template. */
export const hostileWords = (where: string) => `<img src=x onerror="top.pwned=1">${where}</script>{{7*7}}`

/** The API reference: `/api/openapi.json`, and Swagger UI at `/api/docs`, all of it served by us. */
import { createReadStream } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Middleware } from 'koa'

const ASSETS: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

/** Swagger UI sets style attributes by script (allowed by CSSOM) and shows data: images; nothing leaves for elsewhere. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>WMOC API</title>
    <link rel="stylesheet" href="/api/docs/swagger-ui.css">
    <link rel="icon" type="image/png" href="/api/docs/favicon-32x32.png">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="/api/docs/swagger-ui-bundle.js"></script>
    <script src="/api/docs/start.js"></script>
  </body>
</html>
`

const START = `window.ui = SwaggerUIBundle({
  url: '/api/openapi.json',
  dom_id: '#swagger-ui',
  deepLinking: true,
  persistAuthorization: false,
  validatorUrl: null,
})
`

/** `makeDocument` is asked when somebody first wants it: a start is not held up. */
export function serveDocs(makeDocument: () => object): Middleware {
  let text: string | null = null
  const folder = join(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'), '..')
  return async (context, next) => {
    if (context.method !== 'GET' && context.method !== 'HEAD') {
      await next()
      return
    }
    const asset = /^\/api\/docs\/([\w.-]+)$/.exec(context.path)?.[1] ?? ''
    if (context.path === '/api/openapi.json') {
      context.type = 'application/json; charset=utf-8'
      text ??= JSON.stringify(makeDocument())
      context.body = text
    } else if (context.path === '/api/docs' || context.path === '/api/docs/') {
      context.set('content-security-policy', POLICY)
      context.type = 'text/html; charset=utf-8'
      context.body = PAGE
    } else if (asset === 'start.js') {
      context.type = 'text/javascript; charset=utf-8'
      context.body = START
    } else if (ASSETS[asset]) {
      context.set('cache-control', 'public, max-age=3600')
      context.type = ASSETS[asset]
      context.body = createReadStream(join(folder, asset))
    } else {
      await next()
      return
    }
    context.state['route'] = 'docs'
  }
}

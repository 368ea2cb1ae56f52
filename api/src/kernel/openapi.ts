/** OpenAPI 3.1 from the contracts. Pure. */
import { ERRORS } from '@wmoc/platform/errors'
import { z } from 'zod'
import type { Contract, RouteDescription } from './contract.ts'
import { Problem } from './schemas.ts'

type Json = Record<string, unknown>

/** Codes that every route may answer with, by what it asks for. */
function commonErrors(route: RouteDescription): string[] {
  return [
    'malformed',
    'validation_failed',
    'rate_limited',
    'internal_error',
    'dependency_unavailable',
    ...(route.access === 'public' ? [] : ['unauthenticated', 'session_ended']),
    ...(route.access === 'public' || route.access === 'user' ? [] : ['forbidden']),
    ...(route.params ? ['not_found'] : []),
    ...(route.body ? ['payload_too_large', 'unsupported_media_type'] : []),
    ...(route.idempotent ? ['conflict', 'idempotency_mismatch'] : []),
    ...(route.method === 'GET' ? [] : ['csrf_rejected']),
  ]
}

/** The document. Throws when a contract names an error code that the platform doesn't have. */
export function toOpenApi(
  contracts: readonly Contract[],
  info: { version: string; serverUrl: string },
): Json {
  const paths: Record<string, Json> = {}
  for (const contract of contracts) {
    for (const [name, route] of Object.entries(contract.routes)) {
      const path = route.path.replaceAll(/:([A-Za-z]+)/g, '{$1}')
      paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(contract.name, name, route) }
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'WMOC', version: info.version, description: 'The API of the portal.' },
    servers: [{ url: info.serverUrl }],
    tags: contracts.map(({ name }) => ({ name })),
    paths,
    components: {
      schemas: { Problem: schemaOf(Problem, 'output') },
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}

function operation(module: string, name: string, route: RouteDescription): Json {
  const needs =
    route.access === 'public' || route.access === 'user' ? '' : `Needs the permission \`${route.access}\`.`
  return {
    operationId: `${module}.${name}`,
    tags: [module],
    summary: route.summary,
    description: [route.description, needs].filter(Boolean).join('\n\n'),
    security: route.access === 'public' ? [] : [{ accessToken: [] }],
    parameters: [
      ...parameters('path', route.params),
      ...parameters('query', route.query),
      ...parameters('header', route.headers),
      ...(route.idempotent ? [IDEMPOTENCY_KEY] : []),
    ],
    ...(route.body
      ? {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: schemaOf(route.body, 'input') } },
          },
        }
      : {}),
    responses: { [route.status]: success(route), ...failures(route) },
  }
}

const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  schema: { type: 'string', maxLength: 200 },
  description: 'A repeat with the same key within a day gets the first answer.',
}

function success(route: RouteDescription): Json {
  const schema = route.stream ?? route.response
  const type = route.stream ? 'text/event-stream' : 'application/json'
  return {
    description: 'Done',
    ...(route.responseHeaders
      ? {
          headers: Object.fromEntries(
            route.responseHeaders.map((header) => [header, { schema: { type: 'string' } }]),
          ),
        }
      : {}),
    ...(schema ? { content: { [type]: { schema: schemaOf(schema, 'output') } } } : {}),
  }
}

/** One response per status, naming the codes it may carry. */
function failures(route: RouteDescription): Json {
  const table: Readonly<Record<string, { status: number; title: string } | undefined>> = ERRORS
  const byStatus = Map.groupBy(new Set([...commonErrors(route), ...(route.errors ?? [])]), (code) => {
    const known = table[code]
    if (!known) throw new Error(`${route.method} ${route.path} names an unknown error: ${code}`)
    return known.status
  })
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      {
        description: codes.map((code) => `\`${code}\`: ${table[code]?.title}`).join('; '),
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  )
}

function parameters(place: 'path' | 'query' | 'header', object: z.ZodObject | undefined): Json[] {
  if (!object) return []
  const schema = schemaOf(object, 'input') as { properties?: Json; required?: string[] }
  return Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    in: place,
    required: place === 'path' || schema.required?.includes(name) === true,
    schema: property,
  }))
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as Json
  return rest
}

/** Every variable the API and the worker read from the environment; `--help` prints this table. */
import { defineConfig, flag, list, port, secret } from '@wmoc/platform/config'
import { z } from 'zod'

const optionalText = z
  .string()
  .optional()
  .transform((value) => (value?.trim() ? value.trim() : null))

export const apiConfig = defineConfig({
  name: 'wmoc-api',
  description: 'The API of the portal and of the gateway (ROLE=api), or its background worker (ROLE=worker)',
  variables: {
    NODE_ENV: { schema: z.string().default('development'), description: 'production or development' },
    ROLE: { schema: z.enum(['api', 'worker']).default('api'), description: 'What this process does' },
    LOG_LEVEL: {
      schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      description: 'Least level logged',
    },
    LOG_FORMAT: {
      schema: z.enum(['json', 'pretty']).optional(),
      description: 'json in production, else pretty',
    },
    HOST: { schema: z.string().default('127.0.0.1'), description: 'Address of the public listener' },
    PORT: { schema: port(8081), description: 'Port of the public listener' },
    INTERNAL_HOST: {
      schema: z.string().default('127.0.0.1'),
      description: "Address of the gateway's listener",
    },
    INTERNAL_PORT: { schema: port(8082), description: "Port of the gateway's listener" },
    ADMIN_HOST: { schema: z.string().default('127.0.0.1'), description: 'Address of health and metrics' },
    ADMIN_PORT: { schema: port(9081), description: 'Port of health and metrics' },
    PUBLIC_URL: {
      schema: z.url({ protocol: /^https?$/ }).default('http://localhost:8080'),
      description: 'Where people reach the portal; the origin that may change things',
    },
    DEVICE_DOMAIN: {
      schema: optionalText,
      description: 'Devices have origins under it ({label}.DEVICE_DOMAIN); empty: none',
    },
    TRUSTED_HOPS: {
      schema: z.coerce.number().int().min(0).max(10).default(0),
      description: 'Proxies in front whose X-Forwarded-For is believed',
    },
    CORS_ORIGINS: {
      schema: list,
      description: 'Foreign origins that may call the API, by comma',
    },
    DATABASE_URL: { schema: z.string().min(1), description: 'postgres://…', secret: true },
    DATABASE_REPLICA_URLS: { schema: list, description: 'Read replicas, by comma', secret: true },
    DATABASE_POOL_MAX: {
      schema: z.coerce.number().int().min(2).max(200).default(10),
      description: 'Connections to each database server',
    },
    REDIS_URL: { schema: z.string().min(1), description: 'redis://… or embedded://…', secret: true },
    INTERNAL_TOKEN: {
      schema: secret,
      description: 'What the gateway shows to the internal listener',
      secret: true,
    },
    DEVICE_CREDENTIAL_KEY: {
      schema: secret,
      description: 'Key of the verifiers of device secrets',
      secret: true,
    },
    PASSWORD_PEPPER: { schema: secret, description: 'Key that passwords are hashed under', secret: true },
    SECRETS_KEY: {
      schema: z
        .string()
        .transform((value) => Buffer.from(value, 'base64'))
        .refine((key) => key.length === 32, '32 bytes in base64'),
      description: 'Key of what is encrypted at rest, 32 bytes in base64',
      secret: true,
    },
    SECRETS_KEY_PREVIOUS: {
      schema: z
        .string()
        .default('')
        .transform((value) => (value === '' ? null : Buffer.from(value, 'base64')))
        .refine((key) => key === null || key.length === 32, '32 bytes in base64'),
      description: 'The SECRETS_KEY before this one, which opens what was encrypted under it; empty: none',
      secret: true,
    },
    ALERTMANAGER_TOKEN: {
      schema: secret.optional().transform((value) => value ?? null),
      description: 'What Alertmanager shows to /api/integrations/alertmanager; empty: alerts are not taken',
      secret: true,
    },
    ALERTMANAGER_WORKSPACE_OWNER: {
      schema: optionalText,
      description:
        "E-mail of the person whose workspace's admins are told of alerts; empty: the oldest workspace",
    },
    REGISTRATION_OPEN: { schema: flag(true), description: 'Whether anybody may make an account' },
    SMTP_URL: {
      schema: optionalText,
      description: 'smtp://… or smtps://…; empty: mail stays in the outbox',
      secret: true,
    },
    MAIL_FROM: { schema: z.string().default('WMOC <no-reply@localhost>'), description: 'Sender of mail' },
    DEV_MAIL: {
      schema: flag(false),
      description:
        'Show the outbox at /api/dev/mail to everybody who can reach it; only on a machine of your own',
    },
  },
})

export type ApiConfig = ReturnType<typeof apiConfig.load>

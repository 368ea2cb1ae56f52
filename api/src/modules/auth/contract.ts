import { ROLES } from '@wmoc/protocol/control-plane'
import { z } from 'zod'
import { contract, route } from '../../kernel/contract.ts'
import { Id, Locale, Timestamp } from '../../kernel/schemas.ts'

export const TIERS = ['free', 'basic', 'premium'] as const
export const Tier = z.enum(TIERS)
export type Tier = z.infer<typeof Tier>

export const Email = z.string().trim().toLowerCase().pipe(z.email().max(255))
/** 10 characters or more; the upper bound only keeps hashing cheap: nothing of a long password is ignored. */
export const Password = z.string().min(10).max(1_024)

export const Me = z.object({
  id: Id,
  email: z.string(),
  emailVerified: z.boolean(),
  name: z.string(),
  locale: Locale,
  theme: z.enum(['system', 'light', 'dark']),
  tier: Tier,
  tierExpiresAt: Timestamp.nullable(),
  limits: z.object({
    controllers: z.int(),
    metricsRetentionDays: z.int(),
    requestsPerMinute: z.int(),
  }),
  usage: z.object({ controllers: z.int() }),
  workspaces: z.array(z.object({ id: Id, name: z.string(), role: z.enum(ROLES) })),
  sessionId: Id,
  createdAt: Timestamp,
})
export type Me = z.infer<typeof Me>

/** The refresh token travels in an HttpOnly cookie only; the access token lives in the page's memory. */
export const SignedIn = z.object({
  accessToken: z.string(),
  /** Seconds. */
  expiresIn: z.int(),
  user: Me,
})
export type SignedIn = z.infer<typeof SignedIn>

export const Session = z.object({
  id: Id,
  current: z.boolean(),
  userAgent: z.string().nullable(),
  remoteAddress: z.string().nullable(),
  createdAt: Timestamp,
  lastUsedAt: Timestamp,
  expiresAt: Timestamp,
})
export type Session = z.infer<typeof Session>

export const auth = contract('auth', {
  register: route({
    method: 'POST',
    path: '/api/auth/register',
    summary: 'Create an account and its personal workspace',
    description: 'Answers the same for a known and an unknown e-mail; a known one gets a mail that says so.',
    access: 'public',
    rateLimit: 'register',
    body: z.strictObject({
      email: Email,
      password: Password,
      name: z.string().trim().max(100).default(''),
      locale: Locale.default('en'),
    }),
    status: 202,
    response: z.object({ status: z.literal('verification_sent') }),
    errors: ['registration_closed', 'busy'],
  }),
  login: route({
    method: 'POST',
    path: '/api/auth/login',
    summary: 'Sign in',
    access: 'public',
    rateLimit: 'login',
    body: z.strictObject({ email: Email, password: z.string().min(1).max(1_024) }),
    status: 200,
    response: SignedIn,
    errors: ['invalid_credentials', 'busy'],
  }),
  loginByLink: route({
    method: 'POST',
    path: '/api/auth/login/link',
    summary: 'Sign in by a one-time link',
    access: 'public',
    rateLimit: 'login',
    body: z.strictObject({ token: z.string().min(20).max(200) }),
    status: 200,
    response: SignedIn,
    errors: ['token_invalid'],
  }),
  refresh: route({
    method: 'POST',
    path: '/api/auth/refresh',
    summary: 'Exchange the refresh cookie for a new access token; the cookie rotates',
    access: 'public',
    rateLimit: 'default',
    status: 200,
    response: SignedIn,
    errors: ['session_ended'],
  }),
  logout: route({
    method: 'POST',
    path: '/api/auth/logout',
    summary: 'End this session',
    access: 'public',
    status: 204,
  }),
  me: route({
    method: 'GET',
    path: '/api/auth/me',
    summary: 'Who am I',
    access: 'user',
    status: 200,
    response: Me,
  }),
  updateMe: route({
    method: 'PATCH',
    path: '/api/auth/me',
    summary: 'Change name, language, theme',
    access: 'user',
    body: z.strictObject({
      name: z.string().trim().max(100).optional(),
      locale: Locale.optional(),
      theme: z.enum(['system', 'light', 'dark']).optional(),
    }),
    status: 200,
    response: Me,
  }),
  listSessions: route({
    method: 'GET',
    path: '/api/auth/sessions',
    summary: 'Where I am signed in',
    access: 'user',
    status: 200,
    response: z.object({ items: z.array(Session) }),
  }),
  revokeSession: route({
    method: 'DELETE',
    path: '/api/auth/sessions/:id',
    summary: 'Sign a session out',
    access: 'user',
    params: z.object({ id: Id }),
    status: 204,
  }),
  revokeOtherSessions: route({
    method: 'POST',
    path: '/api/auth/sessions/revoke-others',
    summary: 'Sign out everywhere else',
    access: 'user',
    status: 200,
    response: z.object({ revoked: z.int() }),
  }),
  changePassword: route({
    method: 'POST',
    path: '/api/auth/password/change',
    summary: 'Change the password; every other session ends',
    access: 'user',
    rateLimit: 'login',
    body: z.strictObject({ currentPassword: z.string().min(1).max(1_024), newPassword: Password }),
    status: 204,
    errors: ['invalid_credentials', 'busy'],
  }),
  requestPasswordReset: route({
    method: 'POST',
    path: '/api/auth/password/reset-request',
    summary: 'Ask for a reset mail; answers the same whether the e-mail is known or not',
    access: 'public',
    rateLimit: 'mail',
    body: z.strictObject({ email: Email }),
    status: 202,
    response: z.object({ status: z.literal('sent_if_known') }),
  }),
  resetPassword: route({
    method: 'POST',
    path: '/api/auth/password/reset',
    summary: 'Set a new password by the token of the mail; every session ends',
    access: 'public',
    rateLimit: 'login',
    body: z.strictObject({ token: z.string().min(20).max(200), newPassword: Password }),
    status: 204,
    errors: ['token_invalid', 'busy'],
  }),
  verifyEmail: route({
    method: 'POST',
    path: '/api/auth/email/verify',
    summary: 'Confirm the e-mail by the token of the mail',
    description: 'Signs nobody in. The registration mail and a repeated request carry such a token.',
    access: 'public',
    rateLimit: 'login',
    body: z.strictObject({ token: z.string().min(20).max(200) }),
    status: 204,
    errors: ['token_invalid'],
  }),
  requestEmailVerification: route({
    method: 'POST',
    path: '/api/auth/email/verify-request',
    summary: 'Send the verification mail again',
    access: 'user',
    rateLimit: 'mail',
    status: 202,
    response: z.object({ status: z.literal('sent') }),
  }),
})

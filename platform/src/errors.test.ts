import assert from 'node:assert/strict'
import { test } from 'node:test'
import { appError, toProblem } from './errors.ts'

test('turns a known failure into problem+json with its status, detail and Retry-After', () => {
  const problem = toProblem(appError('rate_limited', { detail: 'slow down', retryAfterMs: 1_200 }), 'r1')
  assert.equal(problem.status, 429)
  assert.equal(problem.headers['retry-after'], '2')
  assert.equal(problem.headers['content-type'], 'application/problem+json; charset=utf-8')
  assert.deepEqual(problem.body, {
    type: 'urn:wmoc:error:rate_limited',
    title: 'Too many requests',
    status: 429,
    code: 'rate_limited',
    detail: 'slow down',
    requestId: 'r1',
  })
})

test('lets nothing of an unexpected error out', () => {
  const problem = toProblem(new Error('password=hunter2 at /srv/app.ts'))
  assert.equal(problem.status, 500)
  assert.doesNotMatch(JSON.stringify(problem), /hunter2|srv/)
})

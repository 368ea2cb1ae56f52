import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redact } from './redact.ts'

test('what is secret by its name or its form does not leave, and names of secrets do', () => {
  const pod = {
    metadata: {
      name: 'p',
      managedFields: [{ manager: 'x' }],
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"password":"hunter2"}' },
    },
    spec: {
      env: [
        { name: 'INTERNAL_TOKEN', value: 'hunter2' },
        { name: 'PUBLIC_URL', value: 'https://example.org' },
        { name: 'REDIS', value: 'redis://user:hunter2@redis:6379/0' },
        { name: 'PEPPER', valueFrom: { secretKeyRef: { name: 'wmoc-secrets', key: 'PASSWORD_PEPPER' } } },
      ],
      volumes: [{ secret: { secretName: 'tls' } }],
      args: ['--header', 'Authorization: Bearer hunter2', 'eyJhbGciOi.eyJzdWIiOi.hunter2'],
    },
  }
  const text = JSON.stringify(redact(pod))
  assert.doesNotMatch(text, /hunter2|managedFields/)
  for (const kept of [
    'INTERNAL_TOKEN',
    'wmoc-secrets',
    'PASSWORD_PEPPER',
    '"secretName":"tls"',
    'redis://[redacted]@redis:6379/0',
  ]) {
    assert.ok(text.includes(kept), `${kept} in ${text}`)
  }
})

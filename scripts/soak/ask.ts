/** One request to a controller of `fleet.ts`, and whether the answer is the right one, whole, from the right device. */
import { createHash } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import type { Agent } from 'node:http'
import type { FleetDevice } from './fleet.ts'

export interface Asked {
  readonly method: 'GET' | 'POST'
  readonly port: number
  /** On the device. */
  readonly path: string
  readonly device: FleetDevice
  /** 0: no answer. */
  readonly status: number
  readonly ms: number
  /** By this machine's clock. */
  readonly startedAt: number
  /** Null: all is right. */
  readonly problem: string | null
}

export interface Question {
  readonly agent: Agent
  readonly port: number
  readonly device: FleetDevice
  readonly token: string
  readonly method: 'GET' | 'POST'
  /** Makes the path unique. */
  readonly key: string
  readonly body: string | null
}

const TIMEOUT_MS = 60_000

/** Never rejects. */
export function askOnce(question: Question): Promise<Asked> {
  const { method, port, device, body } = question
  const path = `/${method.toLowerCase()}/${question.key}`
  const startedAt = Date.now()
  const began = performance.now()
  return new Promise((resolve) => {
    const settle = (status: number, problem: string | null) =>
      resolve({ method, port, path, device, status, ms: performance.now() - began, startedAt, problem })
    const call = httpRequest({
      agent: question.agent,
      host: '127.0.0.1',
      port,
      method,
      path: `/c/${device.controller_id}${path}`,
      headers: {
        host: 'localhost',
        authorization: `Bearer ${question.token}`,
        ...(body === null ? {} : { 'content-type': 'text/plain', 'content-length': Buffer.byteLength(body) }),
      },
      timeout: TIMEOUT_MS,
    })
    call.once('timeout', () => call.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)))
    call.once('error', (error) => settle(0, error.message))
    call.once('response', (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.once('error', (error) => settle(response.statusCode!, `cut: ${error.message}`))
      response.once('end', () => {
        const status = response.statusCode!
        settle(status, status === 200 ? difference(text, expected(device, path, body)) : text.slice(0, 200))
      })
    })
    call.end(body ?? undefined)
  })
}

/** What the device answers. */
export function expected(device: FleetDevice, path: string, body: string | Uint8Array | null): string {
  const digest = body === null ? '' : ` ${createHash('sha256').update(body).digest('hex')}`
  return `${device.controller_id} ${path}${digest}`
}

function difference(text: string, wanted: string): string | null {
  return text === wanted ? null : `wrong answer: ${text.slice(0, 100)}`
}

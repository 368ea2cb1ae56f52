/** Moves many bytes through a subject. Argument: a TransferPlan as JSON; prints TransferFigures as JSON. */
import { Agent, request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { TransferFigures, TransferPlan } from '../transfer.ts'

const plan = JSON.parse(process.argv[2]!) as TransferPlan
const { target, direction, pieceBytes } = plan
const agent = new Agent({ keepAlive: true, maxSockets: plan.parallel })
const block = Buffer.alloc(65_536, 'wmoc')
const failures: Record<string, number> = {}

function ask(method: string, path: string, headers: Record<string, string> = {}) {
  const { host, port, prefix } = target
  return request({
    agent,
    host,
    port,
    method,
    path: `${prefix}${path}`,
    headers: { ...target.headers, ...headers },
  })
}

function answered(
  asked: ReturnType<typeof ask>,
): Promise<{ response: IncomingMessage; body: Buffer[]; bytes: number }> {
  return new Promise((resolve, reject) => {
    asked.on('error', reject)
    asked.on('response', (response) => {
      const body: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (direction === 'upload') body.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => resolve({ response, body, bytes }))
    })
  })
}

async function download(): Promise<string | null> {
  const asked = ask('GET', `/bytes/${pieceBytes}`)
  asked.end()
  const { response, bytes } = await answered(asked)
  if (response.statusCode !== 200) return `status ${response.statusCode}`
  return bytes === pieceBytes ? null : 'wrong length'
}

async function upload(): Promise<string | null> {
  const asked = ask('POST', '/upload', { 'content-length': String(pieceBytes) })
  let left = pieceBytes
  const more = () => {
    while (left > 0) {
      const part = left < block.length ? block.subarray(0, left) : block
      left -= part.length
      if (!asked.write(part)) return
    }
    asked.off('drain', more)
    asked.end()
  }
  asked.on('drain', more)
  more()
  const { response, body } = await answered(asked)
  if (response.statusCode !== 200) return `status ${response.statusCode}`
  return Buffer.concat(body).toString() === String(pieceBytes) ? null : 'wrong length'
}

let begun = 0
async function worker(): Promise<void> {
  while (begun < plan.pieces) {
    begun += 1
    const failure = await (direction === 'download' ? download() : upload()).catch(
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    )
    if (failure !== null) failures[failure] = (failures[failure] ?? 0) + 1
  }
}

const startedAt = performance.now()
await Promise.all(Array.from({ length: plan.parallel }, worker))
const figures: TransferFigures = { seconds: (performance.now() - startedAt) / 1_000, failures }
console.log(JSON.stringify(figures))
agent.destroy()

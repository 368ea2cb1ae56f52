/** Uploads: taken as a stream in constant memory; small ones are kept, of big ones only their size and digest. */
import { createHash } from 'node:crypto'
import type { DeviceRequest } from '../device/handler.ts'
import { headerOf, ranged, type Answer } from './answer.ts'
import type { PageModel, StoredFile } from './model.ts'
import { createMultipartReader, type MultipartEvent } from './multipart.ts'

const MAX_FILES = 20
const MAX_KEPT_BYTES = 262_144

/** Stores the form's first file of this field's name; null when there is none, or the form is not whole. */
export async function storeUpload(
  page: PageModel,
  request: DeviceRequest,
  field = 'file',
): Promise<StoredFile | null> {
  const reader = createMultipartReader(headerOf(request, 'content-type') ?? '')
  if (!reader) return null
  const upload = createUpload(field)
  for await (const piece of request.body) {
    const events = reader.push(piece)
    if (!events) return null
    for (const event of events) upload.take(event)
  }
  const file = reader.isComplete ? upload.file() : null
  if (!file) return null
  page.files.delete(file.name)
  page.files.set(file.name, file)
  const [oldest] = page.files.keys()
  if (page.files.size > MAX_FILES && oldest !== undefined) page.files.delete(oldest)
  return file
}

function createUpload(field: string) {
  const hash = createHash('sha256')
  let kept: Buffer[] = []
  let size = 0
  let isFile = false
  let found: { name: string; contentType: string } | null = null
  return {
    take(event: MultipartEvent): void {
      if (event.type === 'part') {
        isFile = !found && event.name === field && Boolean(event.filename)
        if (isFile) found = { name: (event.filename ?? '').slice(0, 100), contentType: event.contentType }
      } else if (isFile) {
        hash.update(event.bytes)
        size += event.bytes.length
        if (size <= MAX_KEPT_BYTES) kept.push(Buffer.from(event.bytes))
        else kept = []
      }
    },
    file(): StoredFile | null {
      if (!found) return null
      const bytes = size <= MAX_KEPT_BYTES ? Buffer.concat(kept) : null
      return { ...found, size, bytes, sha256: hash.digest('hex') }
    },
  }
}

/** A kept file; null when there is none of that name, or it was too big to keep. */
export function serveFile(page: PageModel, request: DeviceRequest, encodedName: string): Answer | null {
  const file = page.files.get(decode(encodedName))
  if (!file?.bytes) return null
  const { bytes } = file
  const headers = {
    // Not the uploaded type: what somebody uploads must not run as a page of the device.
    'Content-Type': 'application/octet-stream',
    'Content-Disposition': `attachment; filename*=UTF-8''${encodeURIComponent(file.name)}`,
    ETag: `"${file.sha256.slice(0, 16)}"`,
  }
  return ranged(request, bytes.length, headers, (offset, length) => [bytes.subarray(offset, offset + length)])
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

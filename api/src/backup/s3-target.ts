/** A bucket of any S3-compatible store. Endpoint, region and credentials come from the SDK's own variables and places. */
import type { Readable } from 'node:stream'
import { DeleteObjectCommand, GetObjectCommand, paginateListObjectsV2, S3Client } from '@aws-sdk/client-s3'
import { Upload } from '@aws-sdk/lib-storage'
import type { Target } from './target.ts'

/** 10,000 parts at most: dumps up to 320 GB, with two parts in memory at a time. */
const PART_BYTES = 32 * 1024 * 1024
const PARTS_AT_ONCE = 2

interface BucketOptions {
  readonly bucket: string
  /** Empty, or ends in `/`. */
  readonly prefix: string
  readonly isPathStyle: boolean
}

/** Talks to the store only when asked. */
export function openBucket({ bucket, prefix, isPathStyle }: BucketOptions): Target {
  const client = new S3Client({
    forcePathStyle: isPathStyle,
    // Most stores that aren't Amazon's know no checksums in trailers; we check the whole dump ourselves.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
  const at = (name: string) => ({ Bucket: bucket, Key: prefix + name })
  return {
    description: `s3://${bucket}/${prefix}`,
    async put(name, content) {
      await new Upload({
        client,
        params: { ...at(name), Body: content },
        partSize: PART_BYTES,
        queueSize: PARTS_AT_ONCE,
      }).done()
    },
    async get(name) {
      const { Body } = await client.send(new GetObjectCommand(at(name)))
      return Body as Readable
    },
    async list() {
      const names: string[] = []
      for await (const page of paginateListObjectsV2({ client }, { Bucket: bucket, Prefix: prefix }))
        for (const { Key } of page.Contents ?? []) if (Key) names.push(Key.slice(prefix.length))
      return names
    },
    async remove(name) {
      await client.send(new DeleteObjectCommand(at(name)))
    },
  }
}

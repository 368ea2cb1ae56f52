/** Secrets at rest: AES-256-GCM, 96-bit random nonce, the key's id in front so that keys can be rotated. */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'

export interface SecretBox {
  /** `v1.<key id>.<nonce>.<tag>.<ciphertext>`; `context` (what the secret belongs to) must be the same to open it. */
  seal(plain: string, context: string): string
  /** Throws when the key, the context or the text is not the one it was sealed with. */
  open(sealed: string, context: string): string
  /** False: it is sealed under an earlier key and should be sealed anew. */
  isPresent(sealed: string): boolean
}

/** `keys`: 32 bytes each; the first seals, all open. */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const ring = new Map(keys.map((key) => [keyId(key), key]))
  const [first] = ring
  if (!first) throw new Error('a secret box needs a key')
  const [sealingId, sealingKey] = first
  return {
    isPresent: (sealed) => sealed.startsWith(`v1.${sealingId}.`),
    seal: (plain, context) => {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce).setAAD(Buffer.from(context))
      const text = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
      return [
        'v1',
        sealingId,
        ...[nonce, cipher.getAuthTag(), text].map((part) => part.toString('base64url')),
      ].join('.')
    },
    open: (sealed, context) => {
      const [version, id = '', ...parts] = sealed.split('.')
      const key = ring.get(id)
      const [nonce, tag, text] = parts.map((part) => Buffer.from(part, 'base64url'))
      if (version !== 'v1' || !key || !nonce || tag?.length !== 16 || !text)
        throw new Error('cannot open the secret')
      const decipher = createDecipheriv('aes-256-gcm', key, nonce)
        .setAAD(Buffer.from(context))
        .setAuthTag(tag)
      return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')
    },
  }
}

function keyId(key: Buffer): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8)
}

/** What a kind of device can hold and do; it tells the gateway, which never sends more. */
import type { DeviceFeature } from '@wmoc/protocol/messages'

export interface DeviceLimits {
  /** Requests and WebSockets at a time. */
  readonly maxStreams: number
  /** Bytes of a request's head. */
  readonly maxRequestHeader: number
  /** Bytes of a request's body in dialect v1, where it comes whole. */
  readonly maxRequestBody: number
  /** Dialect v2: bytes of a piece of body, of a message, of unread body per stream, of unread bodies together. */
  readonly maxChunk: number
  readonly maxMessage: number
  readonly window: number
  readonly budget: number
}

export interface Profile {
  readonly limits: DeviceLimits
  readonly features: readonly DeviceFeature[]
}

export const PROFILES = {
  /** A controller with memory to spare; the default. */
  device: {
    limits: {
      maxStreams: 8,
      maxRequestHeader: 4_096,
      maxRequestBody: 1_048_576,
      maxChunk: 4_096,
      maxMessage: 16_384,
      window: 65_536,
      budget: 262_144,
    },
    features: ['overlap', 'follow', 'resume'],
  },
  /** One TLS connection is all that its heap can hold, so it has none of the features. */
  esp32: {
    limits: {
      maxStreams: 4,
      maxRequestHeader: 512,
      maxRequestBody: 8_192,
      maxChunk: 1_024,
      maxMessage: 4_096,
      window: 4_096,
      budget: 16_384,
    },
    features: [],
  },
  /** A process on a computer, in front of a real web server. */
  agent: {
    limits: {
      maxStreams: 256,
      maxRequestHeader: 16_384,
      maxRequestBody: 16_777_216,
      maxChunk: 32_768,
      maxMessage: 65_536,
      window: 262_144,
      budget: 8_388_608,
    },
    features: ['overlap', 'follow', 'resume'],
  },
} as const satisfies Record<string, Profile>
export type ProfileName = keyof typeof PROFILES

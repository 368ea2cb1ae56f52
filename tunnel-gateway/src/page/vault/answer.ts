/** An answer that stops a device's challenge before a browser sees it: browsers would ask in the portal's name. */
import type { Answer } from '#src/user/answer.ts'
import { TakeableAnswer } from '../takeable-answer.ts'
import { chooseChallenge } from './challenge.ts'
import type { Challenge } from './challenge.ts'

/** None of these means anything to a browser once the gateway signs in. */
const NAMES: ReadonlySet<string> = new Set(['www-authenticate', 'authentication-info'])

export interface ChallengeEvents {
  /** A 401 that can be answered was taken off the way: the user still waits. Called once, after the head was written. */
  challenged(challenge: Challenge): void
  /** The head of anything else goes on. */
  passed(status: number): void
}

export class ChallengeAnswer extends TakeableAnswer {
  readonly #events: ChallengeEvents

  constructor(inner: Answer, events: ChallengeEvents) {
    super(inner)
    this.#events = events
  }

  override writeHead(status: number, headers: string[]): unknown {
    const values: string[] = []
    const kept: string[] = []
    for (let at = 0; at < headers.length; at += 2) {
      const name = headers[at]!.toLowerCase()
      if (name === 'www-authenticate') values.push(headers[at + 1]!)
      if (!NAMES.has(name)) kept.push(headers[at]!, headers[at + 1]!)
    }
    const challenge = status === 401 ? chooseChallenge(values) : null
    if (challenge === null) {
      this.#events.passed(status)
      return super.writeHead(status, kept)
    }
    return this.take(401, () => this.#events.challenged(challenge))
  }
}

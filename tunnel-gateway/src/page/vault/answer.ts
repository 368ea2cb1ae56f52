/** An answer that stops a device's challenge before a browser sees it: browsers would ask in the portal's name. */
import type { Answer } from '#src/user/answer.ts'
import { TakeableAnswer } from '../takeable-answer.ts'
import { chooseChallenge } from './challenge.ts'
import type { Challenge } from './challenge.ts'

/** None of these means anything to a browser once the gateway signs in. */
const CHALLENGE = 'www-authenticate'
const INFO = 'authentication-info'

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
    const challenge = status === 401 ? chooseChallenge(valuesOf(headers, CHALLENGE)) : null
    if (challenge === null) {
      this.#events.passed(status)
      return super.writeHead(status, without(without(headers, CHALLENGE), INFO))
    }
    return this.take(401, () => this.#events.challenged(challenge))
  }
}

function isNamed(given: string, name: string): boolean {
  return given.length === name.length && given.toLowerCase() === name
}

function valuesOf(headers: readonly string[], name: string): string[] {
  return headers.filter((_value, at) => at % 2 === 1 && isNamed(headers[at - 1]!, name))
}

/** The same list where the name is not in it, as it mostly is not. */
function without(headers: string[], name: string): string[] {
  for (let at = 0; at < headers.length; at += 2)
    if (isNamed(headers[at]!, name))
      return headers.filter((_text, index) => !isNamed(headers[index - (index % 2)]!, name))
  return headers
}

/** The receiving side's account of the connection: how much may still come, who holds what came, what to tell back. */

/** On a resumable session the other side hears at least so often what came. */
const ACK_FRAMES = 64
const ACK_BYTES = 16_384

export class ConnectionCredit {
  private readonly window: number
  private readonly tell: () => void
  /** What the other side may still send. */
  left: number
  /** What readers hold. */
  unconsumed = 0
  /** Read, and not yet given back. */
  private toGive = 0
  /** Counted in `left`, but the other side of a resumed connection has yet to hear of it. */
  private untold = 0
  private unackedFrames = 0
  private unackedBytes = 0

  /** `tell` is called when there is enough to give back or to acknowledge. */
  constructor(window: number, tell: () => void) {
    this.window = window
    this.left = window
    this.tell = tell
  }

  /** Read, or of no use to anybody. */
  giveBack(bytes: number): void {
    this.toGive += bytes
    if (this.toGive * 2 >= this.window) this.tell()
  }

  /** A frame of a stream came on a resumable session. */
  countFrame(bytes: number): void {
    this.unackedFrames += 1
    this.unackedBytes += bytes
    if (this.unackedFrames >= ACK_FRAMES || this.unackedBytes >= ACK_BYTES) this.tell()
  }

  /** The amount for the CREDIT frame that is being written. */
  take(): number {
    const credit = this.toGive + this.untold
    this.left += this.toGive
    this.toGive = this.untold = this.unackedFrames = this.unackedBytes = 0
    return credit
  }

  /** What was given and not used is void; what there is room for is given anew, and is there already for what is repeated. */
  resume(): void {
    this.left = this.untold = this.window - this.unconsumed
    this.toGive = 0
  }

  get isBalanced(): boolean {
    return this.left + this.unconsumed + this.toGive === this.window
  }
}

/** What `processes/transfer.ts` is told and what it answers. */
import type { Target } from './plan.ts'

export interface TransferPlan {
  readonly target: Target
  readonly direction: 'download' | 'upload'
  readonly pieceBytes: number
  readonly pieces: number
  /** Pieces under way at a time. */
  readonly parallel: number
}

export interface TransferFigures {
  readonly seconds: number
  /** Pieces that did not arrive whole, by reason. */
  readonly failures: Readonly<Record<string, number>>
}

/** What the parts of the rewriter agree on. */

/** Takes a text in pieces and hands it on, changed, by what it was made with; holds no more than it must. */
export interface TextRewriter {
  write(piece: string): void
  /** Nothing follows: hands on what was held. */
  end(): void
}

/** An address as the page's browser has to ask for it; null: as it is. */
export type MapAddress = (address: string) => string | null

/** Whether a character is the first of two bytes that are one character, in encodings whose second may be a backslash. */
export type IsLeadByte = (code: number) => boolean

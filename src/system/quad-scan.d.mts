/** Four characters in a row, each one of those in its string (Latin-1). */
export type Quad = readonly [string, string, string, string]

interface QuadScan {
  /** Where a text is to be put. */
  readonly bytes: Buffer
  /** False only when none of the quads stands in the first `length` bytes. */
  mayHold(length: number): boolean
}

/** For texts of up to `size` bytes. Null where the processor, or the runtime, has no means for it. */
export function createQuadScan(quads: readonly Quad[], size: number): QuadScan | null

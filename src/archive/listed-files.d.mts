import type { FileEntry, SegmentLine } from '../../schemas/index.ts'

export const STOP: number
export const FILES: number
export const KIB: number

/** What a part was found to hold: files equal to what is listed, those left over, and the folders they lie in. */
export interface PartFound {
  readonly entries: number
  readonly files: number
  readonly bytes: number
  readonly folders: readonly string[]
  readonly large: readonly FileEntry[]
}
/** Null for a part that must be looked at closely. */
export type PartCheck = (part: SegmentLine) => PartFound | null

export function createPartCheck(
  blake3: (bytes: Uint8Array) => Buffer,
  folder: string,
  segmentFolder: string,
  words: Int32Array,
): PartCheck
export function takeParts(
  parts: readonly SegmentLine[],
  words: Int32Array,
  check: PartCheck,
): Generator<readonly [at: number, found: PartFound | null]>

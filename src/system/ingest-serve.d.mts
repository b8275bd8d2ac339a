import type { ErrorCode } from '../core/errors.ts'
import type { HashedFile } from './hash-file.ts'

export interface IngestJob {
  readonly job: number
  /** `pack`: small files with their bytes; `cut`: one large file in blocks; `hash`: any files, digests only,
   * with `hash-ahead` reading large ones while it hashes. */
  readonly mode: 'pack' | 'cut' | 'hash' | 'hash-ahead'
  readonly files: readonly { absolute: string; size: number; state: string }[]
}

export type IngestRequest = IngestJob | { readonly slab: ArrayBuffer } | { readonly stop: true }

export interface IngestFault {
  readonly code?: ErrorCode
  readonly errno?: string
  readonly message: string
}

/** `which` is the file's place in the job; digests are 32 bytes each, in order. */
export type IngestAnswer = { readonly job: number } & (
  | {
      readonly type: 'files'
      readonly slab: ArrayBuffer | null
      /** Four numbers a file: which, size, executable (1 or 0), offset in the slab. */
      readonly facts: Float64Array
      /** '' is the state that was foretold. */
      readonly states: readonly string[]
      readonly digests: Uint8Array
    }
  | {
      readonly type: 'blocks'
      readonly slab: ArrayBuffer
      readonly ends: readonly number[]
      readonly digests: Uint8Array
    }
  | { readonly type: 'end'; readonly which: number; readonly hashed: HashedFile }
  | { readonly type: 'fault'; readonly which: number; readonly error: IngestFault }
  | { readonly type: 'progress'; readonly which: number; readonly bytes: number }
  | { readonly type: 'finished' }
)

/** Does jobs one after the other. With `rest`, it is awaited after every answer. */
export function serveIngest(
  hashes: {
    blake3(bytes: Uint8Array): Uint8Array
    hasher(): { update(bytes: Uint8Array): unknown; hex(): string }
  },
  post: (answer: IngestAnswer, transfer: ArrayBuffer[]) => void,
  rest?: () => Promise<void>,
): (request: IngestRequest) => void

import { ReproError } from '../core/errors.ts'
import type { HashedFile } from './hash-file.ts'
import type { IngestAnswer, IngestFault } from './ingest-serve.mjs'
import { digestAt, type Leaves } from './leaf-stage.ts'

/** A regular file that is to be read. */
export interface SourceFile {
  /** In the bundle. */
  readonly path: string
  readonly absolute: string
  readonly size: number
  /** As `formatFileState` says it; '' takes the file as it is found (then `size` is a guess, with `bytes: false` only). */
  readonly state: string
}

/**
 * What became of files; `index` is the place in what `run` was given. Bytes are valid until `done()`, which gives their
 * memory back: without it reading stops after a few slabs.
 */
export type IngestEvent =
  | {
      /** Files of one block each; with `bytes: false`, files of any size. */
      readonly type: 'files'
      readonly files: readonly IngestedSmallFile[]
      done(): void
    }
  | {
      /** The next blocks of a large file, in order. Nothing of another file comes before its `end` or `fault`. */
      readonly type: 'blocks'
      readonly index: number
      readonly blocks: readonly IngestedBlock[]
      done(): void
    }
  | { readonly type: 'end'; readonly index: number; readonly hashed: HashedFile }
  | { readonly type: 'fault'; readonly index: number; readonly error: unknown }
  /** With `bytes: false`: so much more of a large file was read, before it is whole. */
  | { readonly type: 'progress'; readonly index: number; readonly bytes: number }

interface IngestedBlock {
  readonly bytes: Buffer
  readonly blake3: Buffer
  /** Hash of the block as a leaf of a core's tree, where the pool was asked for it and has threads. */
  readonly leaf?: Buffer | undefined
}

export interface IngestedSmallFile {
  readonly index: number
  readonly hashed: HashedFile
  readonly bytes: Buffer | null
}

type Fact = readonly [which: number, size: number, executable: number, offset: number]

/** What an answer about files, whose places among `sources` are `indexes`, tells. `giveBack` takes its slab. */
export function* eventsOf(
  answer: IngestAnswer,
  leaves: Leaves | null,
  indexes: readonly number[],
  sources: readonly SourceFile[],
  giveBack: (slab: ArrayBuffer) => void,
): Generator<IngestEvent> {
  switch (answer.type) {
    case 'files': {
      const { facts, states, digests, slab } = answer
      const files = states.map((state, i) => {
        const [which, size, executable, offset] = facts.subarray(
          4 * i,
          4 * i + 4,
        ) as unknown as Fact
        const index = indexes[which]!
        const hashed = {
          blake3: digestAt(digests, i).toString('hex'),
          size,
          executable: executable === 1,
          state: state || sources[index]!.state,
        }
        return { index, hashed, bytes: slab && Buffer.from(slab, offset, size) }
      })
      yield { type: 'files', files, done: once(slab, giveBack) }
      return
    }
    case 'blocks': {
      const { slab, ends, digests } = answer
      const blocks = ends.map((end, i) => {
        const begin = ends[i - 1] ?? 0
        const bytes = Buffer.from(slab, begin, end - begin)
        return { bytes, blake3: digestAt(digests, i), leaf: leaves?.get(i) }
      })
      yield { type: 'blocks', index: indexes[0]!, blocks, done: once(slab, giveBack) }
      return
    }
    case 'end':
      yield { type: 'end', index: indexes[answer.which]!, hashed: answer.hashed }
      return
    case 'fault': {
      const index = indexes[answer.which]!
      yield { type: 'fault', index, error: errorOf(answer.error, sources[index]!.absolute) }
      return
    }
    case 'progress':
      yield { type: 'progress', index: indexes[answer.which]!, bytes: answer.bytes }
  }
}

function once(slab: ArrayBuffer | null, giveBack: (slab: ArrayBuffer) => void): () => void {
  let held = slab
  return () => {
    if (held) giveBack(held)
    held = null
  }
}

function errorOf({ code, errno, message }: IngestFault, path: string): unknown {
  if (code) {
    const hints =
      code === 'SOURCE_CHANGED' ? ['wait until nothing writes to it, then repeat the command'] : []
    return new ReproError(code, message, { hints, data: { path } })
  }
  return Object.assign(new Error(message), { code: errno, path, syscall: 'open' })
}

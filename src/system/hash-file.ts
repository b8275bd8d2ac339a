import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { fail } from '../core/errors.ts'
import { createBlake3 } from './blake3.ts'
import { formatFileState } from './file-state.ts'

/** So much is read at a time, and so often ahead of what is hashed: the buffers stay in the cache of the processor. */
const PIECE_BYTES = 1 << 20
const PIECES = 3

export interface HashedFile {
  /** 64 hex digits. */
  readonly blake3: string
  readonly size: number
  readonly executable: boolean
  readonly state: string
}

/**
 * Hashes a regular file without following a link in its last part.
 * Throws SOURCE_CHANGED when its size, mtime or ctime move while it is read, FILE_UNSUPPORTED when it is no regular file.
 */
export async function hashFile(
  path: string,
  signal?: AbortSignal,
  onBytes?: (bytes: number) => void,
): Promise<HashedFile> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const before = await handle.stat({ bigint: true })
    if (!before.isFile()) fail('FILE_UNSUPPORTED', `"${path}" is no regular file`)
    const hasher = createBlake3()
    let size = 0
    for await (const bytes of readAhead(handle, Number(before.size))) {
      signal?.throwIfAborted()
      hasher.update(bytes)
      size += bytes.length
      onBytes?.(bytes.length)
    }
    const after = await handle.stat({ bigint: true })
    assertUnchanged(path, before, after, size)
    return {
      blake3: hasher.hex(),
      size,
      executable: (Number(after.mode) & 0o100) !== 0,
      state: formatFileState(after),
    }
  } finally {
    await handle.close()
  }
}

/** The bytes of a file in order, each part good until the next is asked for: others are being read meanwhile. */
async function* readAhead(handle: FileHandle, expected: number): AsyncGenerator<Buffer> {
  const piece = Math.max(1, Math.min(PIECE_BYTES, expected + 1))
  const count = Math.min(PIECES, Math.ceil((expected + 1) / piece))
  const buffers = Array.from({ length: count }, () => Buffer.allocUnsafeSlow(piece))
  const start = (turn: number) => {
    const reading = handle.read(buffers[turn % count]!, 0, piece, turn * piece)
    reading.catch(() => undefined)
    return reading
  }
  const under = buffers.map((_, turn) => start(turn))
  try {
    for (let turn = 0; ; turn++) {
      const buffer = buffers[turn % count]!
      let { bytesRead: filled } = await under[turn % count]!
      // Only at its end does a file give less than is asked for, but some file systems give it in parts.
      for (let more = filled; more > 0 && filled < piece; filled += more)
        more = (await handle.read(buffer, filled, piece - filled, turn * piece + filled)).bytesRead
      if (filled > 0) yield buffer.subarray(0, filled)
      if (filled < piece) return
      under[turn % count] = start(turn + count)
    }
  } finally {
    await Promise.allSettled(under)
  }
}

function assertUnchanged(
  path: string,
  before: BigIntStats,
  after: BigIntStats,
  size: number,
): void {
  if (formatFileState(before) === formatFileState(after) && BigInt(size) === after.size) return
  fail('SOURCE_CHANGED', `"${path}" changed while it was being hashed`, {
    hints: ['wait until nothing writes to it, then repeat the command'],
    data: { path },
  })
}

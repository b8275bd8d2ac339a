import { type BigIntStats, constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { fail } from '../core/errors.ts'
import { createBlake3 } from './blake3.ts'
import { formatFileState } from './file-state.ts'

const BUFFER_BYTES = 1 << 20

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
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(BUFFER_BYTES, Number(before.size) + 1)))
    let size = 0
    for (;;) {
      signal?.throwIfAborted()
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, size)
      if (bytesRead === 0) break
      hasher.update(buffer.subarray(0, bytesRead))
      size += bytesRead
      onBytes?.(bytesRead)
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

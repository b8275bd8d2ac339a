import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type Hypercore from 'hypercore'
import type { DriveBlob } from 'hyperdrive'
import { fail } from '../core/errors.ts'
import { createBlake3 } from '../system/blake3.ts'
import { enterPhase } from '../system/phase.ts'
import { BLOCK_BYTES, GROUP_BYTES, GROUP_FILES } from './limits.ts'
import type { WantedContent } from './wanted-entries.ts'

/** Content that is in the drive now, and how many bytes were read for it since the last. */
export interface ImportedBlob {
  readonly content: WantedContent
  readonly blob: DriveBlob
}

const SMALL_FILE_BYTES = 1 << 20
const READS_AHEAD = 16

/**
 * Appends contents to the core of a drive's bytes in blocks of BLOCK_BYTES, many to one append, re-hashing them on the
 * way. Yields a group of them after each append; only what had its hash is yielded. Memory is bounded by about two groups.
 * Throws SOURCE_CHANGED. One importer at a time per core.
 */
export async function* importBlobs(
  core: Hypercore,
  contents: readonly WantedContent[],
  signal?: AbortSignal,
  onBytes: (bytes: number) => void = () => {},
): AsyncGenerator<readonly ImportedBlob[]> {
  let blocks: Uint8Array[] = []
  let bytes = 0
  let finished: ImportedBlob[] = []
  let blockOffset = core.length
  let byteOffset = core.byteLength
  const flush = async () => {
    if (blocks.length > 0) {
      enterPhase('append')
      await core.append(blocks)
    }
    const group = finished
    blocks = []
    bytes = 0
    finished = []
    return group
  }
  for await (const { content, chunks } of readAhead(contents, signal)) {
    const start = { blockOffset, byteOffset }
    const hasher = createBlake3()
    let size = 0
    for await (const chunk of chunks) {
      signal?.throwIfAborted()
      hasher.update(chunk)
      size += chunk.length
      onBytes(chunk.length)
      for (let at = 0; at < chunk.length; at += BLOCK_BYTES) {
        blocks.push(chunk.subarray(at, at + BLOCK_BYTES))
        blockOffset++
      }
      byteOffset += chunk.length
      bytes += chunk.length
      if (size > content.size) changed(content)
      if (bytes >= GROUP_BYTES) yield await flush()
    }
    if (size !== content.size || hasher.hex() !== content.blake3) changed(content)
    finished.push({
      content,
      blob: {
        ...start,
        blockLength: blockOffset - start.blockOffset,
        byteLength: size,
      },
    })
    if (finished.length >= GROUP_FILES) yield await flush()
  }
  yield await flush()
}

/** Contents in order, small files already being read while earlier ones are stored. */
async function* readAhead(contents: readonly WantedContent[], signal?: AbortSignal) {
  type Chunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>
  const queue: { content: WantedContent; chunks: Promise<Chunks> }[] = []
  let next = 0
  try {
    while (next < contents.length || queue.length > 0) {
      while (next < contents.length && queue.length < READS_AHEAD) {
        const content = contents[next++]!
        const chunks = chunksOf(content, signal)
        chunks.catch(() => undefined)
        queue.push({ content, chunks })
      }
      const { content, chunks } = queue.shift()!
      yield { content, chunks: await chunks }
    }
  } finally {
    await Promise.allSettled(queue.map(one => one.chunks))
  }
}

async function chunksOf(
  { from, size }: WantedContent,
  signal?: AbortSignal,
): Promise<AsyncIterable<Uint8Array> | Iterable<Uint8Array>> {
  if (typeof from !== 'string') return [from]
  if (size > SMALL_FILE_BYTES) return readBlocks(from, size, signal)
  const all: Uint8Array[] = []
  for await (const chunk of readBlocks(from, size, signal)) all.push(chunk)
  return all
}

/** Reads a regular file in whole blocks, at most one byte more than `size`. */
async function* readBlocks(
  path: string,
  size: number,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    if (!(await handle.stat()).isFile())
      fail('SOURCE_CHANGED', `"${path}" is no regular file any more`, { data: { path } })
    for (let position = 0; position <= size; ) {
      signal?.throwIfAborted()
      const buffer = Buffer.allocUnsafeSlow(Math.min(SMALL_FILE_BYTES, size + 1 - position))
      let length = 0
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(
          buffer,
          length,
          buffer.length - length,
          position + length,
        )
        if (bytesRead === 0) break
        length += bytesRead
      }
      if (length === 0) return
      yield buffer.subarray(0, length)
      position += length
      if (length < buffer.length) return
    }
  } finally {
    await handle.close()
  }
}

/**
 * Leftover blocks of a killed publish, from `start` to the end of the core: those that are whole contents, in order,
 * are given back as stored; the rest is freed.
 */
export async function adoptLeftovers(
  core: Hypercore,
  start: number,
  contents: readonly WantedContent[],
): Promise<Map<string, DriveBlob>> {
  const adopted = new Map<string, DriveBlob>()
  const end = core.length
  const leftover = await byteLengthOf(core, start, end)
  let blockOffset = start
  let byteOffset = core.byteLength - (leftover ?? 0)
  for (const content of leftover === null ? [] : contents) {
    const blockLength = Math.ceil(content.size / BLOCK_BYTES)
    if (content.size === 0) continue
    if (blockOffset + blockLength > end) break
    const hasher = createBlake3()
    let byteLength = 0
    for (let index = blockOffset; index < blockOffset + blockLength; index++) {
      const block = await core.get(index, { wait: false })
      if (!block) break
      hasher.update(block)
      byteLength += block.length
    }
    if (byteLength !== content.size || hasher.hex() !== content.blake3) break
    adopted.set(content.blake3, { blockOffset, blockLength, byteOffset, byteLength })
    blockOffset += blockLength
    byteOffset += byteLength
  }
  if (blockOffset < end) await core.clear(blockOffset, end)
  return adopted
}

/** Null when a block of the range was freed before. */
async function byteLengthOf(core: Hypercore, start: number, end: number): Promise<number | null> {
  let bytes = 0
  for (let index = start; index < end; index++) {
    const block = await core.get(index, { wait: false })
    if (!block) return null
    bytes += block.length
  }
  return bytes
}

function changed(content: WantedContent): never {
  const path = typeof content.from === 'string' ? content.from : content.blake3
  fail('SOURCE_CHANGED', `"${path}" changed while it was being published`, {
    hints: ['nothing was published; wait until nothing writes to it, then repeat the command'],
    data: { path },
  })
}

import type { FileHandle } from 'node:fs/promises'

/** Where a tar is read from: a stream, or a file in which bodies can be skipped without reading them. */
export interface ByteSource {
  /** Bytes taken so far. */
  readonly position: number
  /** Exactly `size` bytes, or null when that many are not left. The memory is not reused. */
  exact(size: number): Promise<Buffer | null>
  /** Some bytes, at most `max`, or null at the end. */
  some(max: number): Promise<Buffer | null>
  /** False when fewer than `size` bytes were left. */
  skip(size: number): Promise<boolean>
}

export class StreamSource implements ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>
  #chunk: Buffer = Buffer.alloc(0)
  #offset = 0
  position = 0

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]()
  }

  async exact(size: number): Promise<Buffer | null> {
    if (this.#chunk.length - this.#offset >= size) return this.#take(size)
    const parts: Buffer[] = []
    let missing = size
    while (missing > 0) {
      const part = await this.some(missing)
      if (!part) return null
      parts.push(part)
      missing -= part.length
    }
    return Buffer.concat(parts)
  }

  async some(max: number): Promise<Buffer | null> {
    while (this.#offset >= this.#chunk.length) {
      const next = await this.#iterator.next()
      if (next.done) return null
      const { buffer, byteOffset, byteLength } = next.value
      this.#chunk = Buffer.from(buffer, byteOffset, byteLength)
      this.#offset = 0
    }
    return this.#take(Math.min(max, this.#chunk.length - this.#offset))
  }

  async skip(size: number): Promise<boolean> {
    let missing = size
    while (missing > 0) {
      const part = await this.some(missing)
      if (!part) return false
      missing -= part.length
    }
    return true
  }

  #take(size: number): Buffer {
    const part = this.#chunk.subarray(this.#offset, this.#offset + size)
    this.#offset += size
    this.position += size
    return part
  }
}

const WINDOW_BYTES = 1 << 16

export class FileSource implements ByteSource {
  readonly #handle: FileHandle
  readonly #end: number
  #window: Buffer = Buffer.alloc(0)
  #windowStart = 0
  position = 0

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle
    this.#end = sizeBytes
  }

  async exact(size: number): Promise<Buffer | null> {
    if (this.position + size > this.#end) return null
    let part = this.#buffered(size)
    if (!part) {
      await this.#fill(size)
      part = this.#buffered(size)
    }
    if (part) this.position += size
    return part
  }

  async some(max: number): Promise<Buffer | null> {
    return await this.exact(Math.min(max, WINDOW_BYTES, this.#end - this.position) || 0).then(
      part => (part?.length ? part : null),
    )
  }

  async skip(size: number): Promise<boolean> {
    this.position += size
    return this.position <= this.#end
  }

  #buffered(size: number): Buffer | null {
    const from = this.position - this.#windowStart
    if (from < 0 || from + size > this.#window.length) return null
    return this.#window.subarray(from, from + size)
  }

  async #fill(size: number): Promise<void> {
    const window = Buffer.allocUnsafe(
      Math.min(Math.max(size, WINDOW_BYTES), this.#end - this.position),
    )
    let filled = 0
    while (filled < window.length) {
      const { bytesRead } = await this.#handle.read(
        window,
        filled,
        window.length - filled,
        this.position + filled,
      )
      if (bytesRead === 0) break
      filled += bytesRead
    }
    this.#window = window.subarray(0, filled)
    this.#windowStart = this.position
  }
}

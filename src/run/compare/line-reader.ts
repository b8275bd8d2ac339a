import type { FileHandle } from 'node:fs/promises'

const CHUNK_BYTES = 1 << 20

/** A line, or a piece of one that is longer than the reader's limit. */
export interface Line {
  /** Without the line feed. Valid until the reader's next line is taken. */
  readonly bytes: Buffer
  /** 1-based. */
  readonly number: number
  /** The line goes on in the next piece. */
  readonly more: boolean
  /** This piece goes on with a line begun before. */
  readonly continued: boolean
  /** A line feed ends it; false for the last line of a file without one. */
  readonly ended: boolean
}

/** Reads a file line by line in bounded memory. `take` is the fast way: it answers from what is buffered. */
export class LineReader {
  readonly #handle: FileHandle
  readonly #limit: number
  readonly #signal: AbortSignal | undefined
  #buffer = Buffer.alloc(0)
  #start = 0
  #position = 0
  #eof = false
  #number = 1
  #continued = false

  constructor(handle: FileHandle, limitBytes: number, signal?: AbortSignal) {
    this.#handle = handle
    this.#limit = limitBytes
    this.#signal = signal
  }

  /** The next line when it is buffered, else undefined: then ask `next`. */
  take(): Line | undefined {
    const at = this.#buffer.indexOf(10, this.#start)
    if (at >= 0 && at - this.#start <= this.#limit) return this.#emit(at, at + 1, false, true)
    if (this.#buffer.length - this.#start > this.#limit) {
      const end = this.#start + this.#limit
      return this.#emit(end, end, true, false)
    }
    return undefined
  }

  /** The next line, or null at the end of the file. */
  async next(): Promise<Line | null> {
    for (;;) {
      const line = this.take()
      if (line) return line
      if (this.#eof) {
        if (this.#start >= this.#buffer.length) return null
        return this.#emit(this.#buffer.length, this.#buffer.length, false, false)
      }
      await this.#fill()
    }
  }

  #emit(end: number, next: number, more: boolean, ended: boolean): Line {
    const line = {
      bytes: this.#buffer.subarray(this.#start, end),
      number: this.#number,
      more,
      continued: this.#continued,
      ended,
    }
    this.#start = next
    this.#continued = more
    if (!more) this.#number++
    return line
  }

  async #fill(): Promise<void> {
    this.#signal?.throwIfAborted()
    const rest = this.#buffer.subarray(this.#start)
    const buffer = Buffer.allocUnsafe(rest.length + Math.max(CHUNK_BYTES, rest.length))
    rest.copy(buffer)
    const { bytesRead } = await this.#handle.read(
      buffer,
      rest.length,
      buffer.length - rest.length,
      this.#position,
    )
    this.#position += bytesRead
    this.#eof = bytesRead === 0
    this.#buffer = buffer.subarray(0, rest.length + bytesRead)
    this.#start = 0
  }
}

/** Skips lines that are ignored, with all their pieces. */
export class FilteredLines {
  readonly #reader: LineReader
  readonly #ignored: (line: Line) => boolean | Promise<boolean>

  constructor(reader: LineReader, ignored: (line: Line) => boolean | Promise<boolean>) {
    this.#reader = reader
    this.#ignored = ignored
  }

  async next(): Promise<Line | null> {
    return this.#reader.take() ?? (await this.#reader.next())
  }

  /** The next line that counts, when `line` is ignored; else `line` itself. */
  async counted(line: Line | null): Promise<Line | null> {
    let at = line
    while (at && !at.continued) {
      const answer = this.#ignored(at)
      // Most answers are there at once, and waiting for each of a million costs more than they do.
      if (!(typeof answer === 'boolean' ? answer : await answer)) break
      await this.skipRest(at)
      at = await this.next()
    }
    return at
  }

  /** Reads past the further pieces of a long line. */
  async skipRest(line: Line): Promise<void> {
    for (let piece: Line | null = line; piece?.more; ) piece = await this.next()
  }
}

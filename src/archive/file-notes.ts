import { join } from 'node:path'
import { writeFileAtomic } from '../system/atomic-file.ts'
import { readRegular } from '../system/regular-file.ts'

/** What a checkout knows of a file that it wrote or found right: BLAKE3, and the state it was in (`formatFileState`). */
export interface FileNote {
  readonly blake3: string
  readonly state: string
}

const NOTES_PATH = '.repro/file-states'
const FIRST_LINE = 'repro file states 1'
const MAX_BYTES = 1 << 28
const HASH_HEX = 64
const CHUNK_CHARS = 64 << 10
/** A time of change that is not this much later than the time of the content could hide an edit by the same clock tick. */
const SETTLED_NS = 1_000_000_000n

/** Notes by path, as bytes and the places of their lines: there may be a million. */
export class FileNotes {
  readonly #bytes: Buffer
  /** Where each line begins, by a hash of its path; open addressing, 0 for free. */
  readonly #slots: Uint32Array

  /** @param bytes a whole file of notes, or nothing. */
  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#bytes = bytes
    let lines = 0
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
    this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(2 * lines + 2)))
    for (let at = bytes.indexOf(10) + 1; at > 0 && at < bytes.length; ) {
      const path = this.#pathAt(at)
      if (path !== null) this.#slots[this.#slotOf(path)] = at
      at = bytes.indexOf(10, at) + 1
    }
  }

  get(path: string): FileNote | undefined {
    const at = this.#slots[this.#slotOf(Buffer.from(path))]!
    if (at === 0) return undefined
    const line = this.#bytes.toString('utf8', at, this.#endOf(at))
    const [, blake3, state] = /^([0-9a-f]{64}) ([0-9:]+) ./.exec(line) ?? []
    return state === undefined ? undefined : { blake3: blake3!, state }
  }

  #endOf(at: number): number {
    const end = this.#bytes.indexOf(10, at)
    return end < 0 ? this.#bytes.length : end
  }

  /** The path of a line; null for what is none. */
  #pathAt(at: number): Buffer | null {
    const start = this.#bytes.indexOf(32, at + HASH_HEX + 1) + 1
    const end = this.#endOf(at)
    return start > 0 && start < end ? this.#bytes.subarray(start, end) : null
  }

  /** Where a path is, or would be. */
  #slotOf(path: Buffer): number {
    const mask = this.#slots.length - 1
    let hash = 0x811c9dc5
    for (const byte of path) hash = Math.imul(hash ^ byte, 0x01000193)
    for (let slot = (hash ^ (hash >>> 15)) & mask; ; slot = (slot + 1) & mask) {
      const at = this.#slots[slot]!
      if (at === 0 || this.#pathAt(at)!.equals(path)) return slot
    }
  }
}

/**
 * What earlier checkouts noted of the files in a folder. It only saves reading: a note that is damaged or gone
 * is empty, and one that does not fit the file any more counts for nothing. Nor does any that another user could have
 * written: notes are believed instead of the bytes.
 */
export function readFileNotes(folder: string): FileNotes {
  const bytes = ownNotes(join(folder, NOTES_PATH))
  const good =
    bytes?.subarray(0, FIRST_LINE.length + 1).equals(Buffer.from(`${FIRST_LINE}\n`)) === true
  return new FileNotes(good ? bytes! : undefined)
}

function ownNotes(path: string): Buffer | null {
  try {
    return readRegular(path, MAX_BYTES, { own: true })
  } catch {
    return null
  }
}

/** Notes of a checkout that is under way, kept as the lines they will be. */
export class NotesToWrite {
  readonly #chunks: Buffer[] = []
  #text = ''

  add(path: string, { blake3, state }: FileNote): void {
    if (!isSettled(state)) return
    this.#text += `${blake3} ${state} ${path}\n`
    if (this.#text.length >= CHUNK_CHARS) this.#cut()
  }

  /** Writes them durably: after a crash they tell which files were ours. */
  async write(folder: string): Promise<void> {
    this.#cut()
    const whole = Buffer.concat([Buffer.from(`${FIRST_LINE}\n`), ...this.#chunks.splice(0)])
    await writeFileAtomic(join(folder, NOTES_PATH), whole)
  }

  #cut(): void {
    this.#chunks.push(Buffer.from(this.#text))
    this.#text = ''
  }
}

/**
 * Whether nobody wrote to a file between two looks, by its inode and times: a crash or a bad disk may have changed its
 * bytes and its size all the same.
 */
export function sameWriting(one: string, other: string): boolean {
  const [, inode, , mtime, ctime] = one.split(':')
  const [, otherInode, , otherMtime, otherCtime] = other.split(':')
  return inode === otherInode && mtime === otherMtime && ctime === otherCtime
}

/** Whether a file bears a date: dates go to the disk as fractions of a second, and come back up to 2 ms earlier. */
export function isOfDate(mtimeNs: bigint, date: string): boolean {
  return Math.abs(Number(mtimeNs) / 1e6 - Date.parse(date)) < 2.5
}

function isSettled(state: string): boolean {
  const [, , , mtime, ctime] = state.split(':')
  return BigInt(ctime!) - BigInt(mtime!) > SETTLED_NS
}

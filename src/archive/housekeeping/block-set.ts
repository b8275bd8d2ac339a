/** A set of block numbers below `length`, one bit each. */
export class BlockSet {
  readonly length: number
  readonly #words: Uint32Array

  constructor(length: number) {
    this.length = length
    this.#words = new Uint32Array(Math.ceil(length / 32))
  }

  /** Adds [start, end), as far as it lies in the set's range. */
  add(start: number, end: number): void {
    const stop = Math.min(end, this.length)
    for (let index = Math.max(0, start); index < stop; index++) {
      if ((index & 31) === 0 && index + 32 <= stop) {
        this.#words[wordOf(index)] = 0xffffffff
        index += 31
      } else this.#words[wordOf(index)]! |= 1 << (index & 31)
    }
  }

  has(index: number): boolean {
    return (this.#words[wordOf(index)]! & (1 << (index & 31))) !== 0
  }
}

/** Not `>>> 5`, which is wrong from 2^32 on. */
const wordOf = (index: number) => Math.floor(index / 32)

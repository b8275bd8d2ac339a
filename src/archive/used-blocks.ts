/** Which blocks from a number on are in use. */
export class UsedBlocks {
  readonly #since: number
  #bits = new Uint32Array(1024)

  constructor(since: number) {
    this.#since = since
  }

  add(start: number, end: number): void {
    for (let block = Math.max(start, this.#since); block < end; block++) {
      const at = block - this.#since
      // Not `>>>`, which ends at 2^32.
      const word = Math.floor(at / 32)
      if (word >= this.#bits.length) this.#grow(word)
      this.#bits[word]! |= 1 << (at & 31)
    }
  }

  has(block: number): boolean {
    const at = block - this.#since
    return at >= 0 && ((this.#bits[Math.floor(at / 32)] ?? 0) & (1 << (at & 31))) !== 0
  }

  /** The ranges up to `end` that are not in use. */
  *gaps(end: number): Generator<{ readonly start: number; readonly end: number }> {
    let start = -1
    for (let block = this.#since; block < end; block++) {
      const at = block - this.#since
      const used = ((this.#bits[Math.floor(at / 32)] ?? 0) & (1 << (at & 31))) !== 0
      if (used && start >= 0) yield { start, end: block }
      start = used ? -1 : start < 0 ? block : start
    }
    if (start >= 0) yield { start, end }
  }

  #grow(word: number): void {
    const bits = new Uint32Array(2 ** Math.ceil(Math.log2(word + 2)))
    bits.set(this.#bits)
    this.#bits = bits
  }
}

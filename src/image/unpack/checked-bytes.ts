import { createHash } from 'node:crypto'
import { fail } from '../../core/errors.ts'

/** The bytes of a blob, counted and hashed while they pass. */
export class CheckedBytes {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #named: { readonly digest: string; readonly size: number }
  readonly #hash = createHash('sha256')
  count = 0

  constructor(source: AsyncIterable<Uint8Array>, named: { digest: string; size: number }) {
    this.#source = source[Symbol.asyncIterator]()
    this.#named = named
  }

  /** Throws HASH_MISMATCH as soon as there are more bytes than named. */
  async *chunks(signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    for (;;) {
      signal?.throwIfAborted()
      const next = await this.#source.next()
      if (next.done) return
      this.count += next.value.length
      if (this.count > this.#named.size) this.#mismatch(`more than ${this.#named.size} bytes`)
      this.#hash.update(next.value)
      yield next.value
    }
  }

  /** Reads what is left, then checks the whole. Throws HASH_MISMATCH. */
  async drain(): Promise<void> {
    for await (const _ of this.chunks());
    if (this.count !== this.#named.size)
      this.#mismatch(`${this.count} bytes where ${this.#named.size} are named`)
    const found = `sha256:${this.#hash.digest('hex')}`
    if (found !== this.#named.digest) this.#mismatch(`the digest ${found}`)
  }

  /** Ends the source when it is not read to its end. */
  async close(): Promise<void> {
    await this.#source.return?.()
  }

  #mismatch(what: string): never {
    fail('HASH_MISMATCH', `the image layer ${this.#named.digest} has ${what}`, {
      hints: ['the copy is damaged or dishonest: nothing of it was used; try another peer'],
      data: { digest: this.#named.digest },
    })
  }
}

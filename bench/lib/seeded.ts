import { createCipheriv, createHash } from 'node:crypto'

/** Numbers that look random and are the same in every run with the same seed (sfc32). */
export class Seeded {
  #a: number
  #b: number
  #c: number
  #d = 1

  constructor(seed: string) {
    const digest = createHash('sha256').update(seed).digest()
    this.#a = digest.readInt32LE(0)
    this.#b = digest.readInt32LE(4)
    this.#c = digest.readInt32LE(8)
    for (let i = 0; i < 12; i++) this.#next()
  }

  /** At least 0, below 1. */
  float(): number {
    return this.#next() / 2 ** 32
  }
  below(limit: number): number {
    return Math.floor(this.float() * limit)
  }
  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!
  }
  /** A log-normal number with this mean; `sigma` is the spread of its logarithm. */
  logNormal(mean: number, sigma: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.float())) * Math.cos(2 * Math.PI * this.float())
    return Math.exp(Math.log(mean) - (sigma * sigma) / 2 + sigma * normal)
  }

  #next(): number {
    const t = (this.#a + this.#b + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + t
    this.#c |= 0
    return t >>> 0
  }
}

/** A source of bytes that do not compress, at memory speed: the key stream of AES in counter mode. */
export function randomBytesOf(seed: string): (length: number) => Buffer {
  const key = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16))
  return length => cipher.update(Buffer.alloc(length))
}

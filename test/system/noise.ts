import { createCipheriv } from 'node:crypto'

/** The generator of fixtures/format/block-vectors.json: AES-128-CTR over zeros, the seed as key (128 bit, big-endian), IV 0. */
export function noise(size: number, seed = 0): Buffer {
  const key = Buffer.alloc(16)
  key.writeUInt32BE(seed, 12)
  return createCipheriv('aes-128-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size))
}

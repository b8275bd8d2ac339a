import { hkdfSync, randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../core/errors.ts'
import { syncFolder, temporaryName } from './atomic-file.ts'

/** What is derived from a home's seed: never one key for two purposes (design.md §5, identities). */
export type KeyPurpose = 'node' | 'receipt' | 'store' | `bundle ${string}`

export class Seed {
  readonly #bytes: Buffer
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** 32 bytes for one purpose: HKDF-SHA256 (RFC 5869) of the seed. */
  derive(purpose: KeyPurpose): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#bytes, 'repro-seed-v1', purpose, 32))
  }
}

/** Reads `<home>/seed`, or makes it, readable by its owner alone. Two processes that start at once agree on one. */
export async function openSeed(home: string): Promise<Seed> {
  const path = join(home, 'seed')
  await mkdir(home, { recursive: true, mode: 0o700 })
  for (let attempt = 0; attempt < 2; attempt++) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (text !== null) {
      if (!/^[0-9a-f]{64}\n?$/.test(text))
        fail('STORE_INVALID', `"${path}" is no seed: expected 64 hex digits`, {
          hints: ['restore it from a backup; without it the keys of this home are lost'],
        })
      return new Seed(Buffer.from(text.trim(), 'hex'))
    }
    const temporary = temporaryName(path)
    await writeFile(temporary, `${randomBytes(32).toString('hex')}\n`, {
      mode: 0o600,
      flag: 'wx',
      flush: true,
    })
    await link(temporary, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
    await rm(temporary, { force: true })
    await syncFolder(home)
  }
  return fail('STORE_INVALID', `the seed at "${path}" can neither be read nor made`)
}

import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair } from 'hypercore'
import { FORMAT, ownBundleFile } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { formatKey, isKey } from '../core/reference.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import type { Seed } from '../system/seed.ts'
import { type SigningKey, signingKeyFromSeed } from '../system/signing.ts'
import { encodeCoreManifest, keyOfCoreManifest } from './core-manifest.ts'

/** What writes a bundle: its own key pair, derived from the home's seed and the bundle's id alone. */
export interface BundleKeys {
  readonly keyPair: KeyPair
  readonly signingKey: SigningKey
  readonly coreManifest: string
}

const folderOf = (home: string) => join(home, 'bundles')

/** Makes the key of a new bundle. Its id is on disk before anything can be written under the key. */
export async function createOwnBundle(home: string, seed: Seed): Promise<string> {
  const id = randomBytes(16).toString('hex')
  const keys = keysOf(seed, id)
  const key = formatKey(await keyOfCoreManifest(keys.coreManifest))
  const text = `${JSON.stringify({ format: FORMAT, key, id })}\n`
  await writeFileAtomic(join(folderOf(home), `${key}.json`), text, 0o600)
  return key
}

/** Takes back a bundle under whose key nothing was written. */
export async function forgetOwnBundle(home: string, key: string): Promise<void> {
  await rm(join(folderOf(home), `${key}.json`), { force: true })
}

/** The keys of a bundle that this home made, or null. Throws STORE_INVALID when the seed is another one. */
export async function readOwnBundle(
  home: string,
  seed: Seed,
  key: string,
): Promise<BundleKeys | null> {
  const path = join(folderOf(home), `${key}.json`)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  const file = ownBundleFile.safeParse(parse(text))
  if (!file.success) fail('STORE_INVALID', `"${path}" is no description of a bundle`)
  const keys = keysOf(seed, file.data.id)
  if (formatKey(await keyOfCoreManifest(keys.coreManifest)) !== key)
    fail('STORE_INVALID', `the seed of "${home}" is not the one that made the bundle "${key}"`, {
      hints: ['restore the seed from a backup'],
    })
  return keys
}

/** Whether this home made the bundle, and so can write to it. The store need not be open. */
export async function isOwnBundle(home: string, key: string): Promise<boolean> {
  return (await listOwnBundles(home)).includes(key)
}

export async function listOwnBundles(home: string): Promise<string[]> {
  const names = await readdir(folderOf(home)).catch(() => [])
  return names
    .filter(name => name.endsWith('.json'))
    .map(name => name.slice(0, -5))
    .filter(isKey)
}

function keysOf(seed: Seed, id: string): BundleKeys {
  const bytes = seed.derive(`bundle ${id}`)
  const signingKey = signingKeyFromSeed(bytes)
  const publicKey = Buffer.from(signingKey.publicKey, 'hex')
  return {
    keyPair: { publicKey, secretKey: Buffer.concat([bytes, publicKey]) },
    signingKey,
    coreManifest: encodeCoreManifest(signingKey.publicKey),
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

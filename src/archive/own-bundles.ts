import { randomBytes } from 'node:crypto'
import { readdir, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { KeyPair } from 'hypercore'
import {
  FORMAT,
  type KnownHistory,
  type OwnBundleFile,
  ownBundleFile,
} from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { formatKey, isKey } from '../core/reference.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'
import type { Seed } from '../system/seed.ts'
import { type SigningKey, signingKeyFromSeed } from '../system/signing.ts'
import { encodeCoreManifest, keyOfCoreManifest } from './core-manifest.ts'

/** What writes a bundle: its own key pair. */
export interface BundleKeys {
  readonly keyPair: KeyPair
  readonly signingKey: SigningKey
  readonly coreManifest: string
}

const folderOf = (home: string) => join(home, 'bundles')

/** Makes the key of a new bundle. Its id is on disk before anything can be written under the key. */
export async function createOwnBundle(home: string, seed: Seed): Promise<string> {
  const id = randomBytes(16).toString('hex')
  const keys = keysOf(secretOf(seed, { id }))
  const key = formatKey(await keyOfCoreManifest(keys.coreManifest))
  await writeOwnBundle(home, { format: FORMAT, key, id })
  return key
}

/** The key of the bundle that 32 secret bytes can write. */
export async function keyOfSecret(secret: Buffer): Promise<string> {
  return formatKey(await keyOfCoreManifest(keysOf(secret).coreManifest))
}

/**
 * Makes a bundle that another home made writable here. Nothing is written to it before it was synced, and peers gave
 * `atLeast` so much of its history.
 */
export async function adoptOwnBundle(
  home: string,
  secret: Buffer,
  atLeast: KnownHistory | null = null,
): Promise<string> {
  const key = await keyOfSecret(secret)
  const file = { format: FORMAT, key, secret: secret.toString('hex'), mustSync: true } as const
  await writeOwnBundle(home, atLeast === null ? file : { ...file, atLeast })
  return key
}

/** The 32 secret bytes that write a bundle of this home, or null. Throws STORE_INVALID. */
export async function readOwnSecret(home: string, seed: Seed, key: string): Promise<Buffer | null> {
  const file = await readOwnBundleFile(home, key)
  return file && (await checkedSecret(home, seed, file))
}

/** Whether the whole history must come from peers before anything is written under the key. */
export async function mustSyncFirst(home: string, key: string): Promise<boolean> {
  return (await readOwnBundleFile(home, key))?.mustSync === true
}

/** How much of the history must be here before anything is written under an imported key; null when that was not told. */
export async function readAtLeast(home: string, key: string): Promise<KnownHistory | null> {
  return (await readOwnBundleFile(home, key))?.atLeast ?? null
}

/** Notes, durably, that the history must (not any more) come from peers before anything is written. */
export async function noteMustSync(home: string, key: string, mustSync: boolean): Promise<void> {
  const file = await readOwnBundleFile(home, key)
  if (file === null || (file.mustSync === true) === mustSync) return
  const { mustSync: _, atLeast: _known, ...rest } = file
  await writeOwnBundle(home, mustSync ? { ...file, mustSync } : rest)
}

/** Forgets the key of a bundle: who has no copy of it can never write to the bundle again. */
export async function forgetOwnBundle(home: string, key: string): Promise<void> {
  await rm(join(folderOf(home), `${key}.json`), { force: true })
}

/** The keys of a bundle that this home can write, or null. Throws STORE_INVALID when the seed is another one. */
export async function readOwnBundle(
  home: string,
  seed: Seed,
  key: string,
): Promise<BundleKeys | null> {
  const file = await readOwnBundleFile(home, key)
  return file && keysOf(await checkedSecret(home, seed, file))
}

async function readOwnBundleFile(home: string, key: string): Promise<OwnBundleFile | null> {
  const path = join(folderOf(home), `${key}.json`)
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  const file = ownBundleFile.safeParse(parse(text))
  if (!file.success || file.data.key !== key)
    fail('STORE_INVALID', `"${path}" is no description of the bundle "${key}"`)
  return file.data
}

async function writeOwnBundle(home: string, file: OwnBundleFile): Promise<void> {
  const path = join(folderOf(home), `${file.key}.json`)
  await writeFileAtomic(path, `${JSON.stringify(file)}\n`, 0o600)
}

async function checkedSecret(home: string, seed: Seed, file: OwnBundleFile): Promise<Buffer> {
  const secret = secretOf(seed, file)
  if ((await keyOfSecret(secret)) !== file.key)
    fail(
      'STORE_INVALID',
      `the seed of "${home}" is not the one that made the bundle "${file.key}"`,
      {
        hints: ['restore the seed from a backup'],
      },
    )
  return secret
}

/** Whether this home can write to the bundle. The store need not be open. */
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

function secretOf(seed: Seed, from: { readonly id: string } | { readonly secret: string }): Buffer {
  return 'id' in from ? seed.derive(`bundle ${from.id}`) : Buffer.from(from.secret, 'hex')
}

function keysOf(bytes: Buffer): BundleKeys {
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

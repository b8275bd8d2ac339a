import { constants } from 'node:fs'
import { link, open, rm } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { formatKeyFile, isSealedKeyFile, parseKeyFile } from '../../archive/key-file.ts'
import { knownHistory } from '../../archive/known-history.ts'
import { adoptOwnBundle, isOwnBundle, readOwnSecret } from '../../archive/own-bundles.ts'
import { asReproError, fail } from '../../core/errors.ts'
import type { Settings } from '../../core/settings.ts'
import { syncFolder, temporaryName, writeFileAtomic } from '../../system/atomic-file.ts'
import { openSeed } from '../../system/seed.ts'
import { keyWithoutStore } from './open-source.ts'

export interface KeyExport {
  readonly key: string
  readonly file: string
  readonly sealed: boolean
}

export interface KeyImport {
  readonly key: string
  /** False when this home could write the bundle already: nothing was changed. */
  readonly imported: boolean
}

/**
 * Writes the key of one own bundle to a new file that only its owner can read. The store need not be free.
 * Throws NOT_FOUND, KEY_NOT_WRITABLE, USAGE for a file that is there already.
 */
export async function exportKey(
  settings: Settings,
  ref: string,
  file: string,
  passphrase: string | null,
): Promise<KeyExport> {
  const { key } = await keyWithoutStore(settings, ref)
  const secret = await readOwnSecret(settings.home, await openSeed(settings.home), key)
  if (secret === null)
    fail('KEY_NOT_WRITABLE', `this home cannot write to "${key}": it has no key to export`, {
      hints: ['export it in the home that made the bundle'],
    })
  const known = await knownHistory(settings.home, key)
  await writeNew(resolve(file), formatKeyFile({ key, secret, known }, passphrase))
  return { key, file: resolve(file), sealed: passphrase !== null }
}

/**
 * Makes the bundle of a key file writable in this home. It is marked: before anything is written under the key, its
 * whole history is fetched from peers, and at least what was known when the key was saved. Throws KEY_INVALID, READ_FAILED. `askPassphrase` is asked only for a sealed file.
 */
export async function importKey(
  settings: Settings,
  file: string,
  askPassphrase: () => Promise<string | null>,
): Promise<KeyImport> {
  const text = await readKeyFile(file)
  const passphrase = isSealedKeyFile(text) ? await askPassphrase() : null
  const { key, secret, known } = await parseKeyFile(text, passphrase)
  if (await isOwnBundle(settings.home, key)) return { key, imported: false }
  await adoptOwnBundle(settings.home, secret, known)
  return { key, imported: true }
}

async function readKeyFile(file: string): Promise<string> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK).catch(error => {
    throw asReproError(error)
  })
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(16_384))
    return buffer.toString('utf8', 0, bytesRead)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EISDIR')
      fail('KEY_INVALID', `"${file}" is a folder, not a file that repro key export wrote`)
    throw asReproError(error)
  } finally {
    await handle.close()
  }
}

/** A whole file of mode 0600 under a name that nothing has. */
async function writeNew(path: string, text: string): Promise<void> {
  const temporary = temporaryName(path)
  try {
    await writeFileAtomic(temporary, text, 0o600)
    await link(temporary, path)
    await syncFolder(dirname(path))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST')
      fail('USAGE', `"${path}" is there already, and no key is written over a file`, {
        hints: ['give the name of a new file'],
      })
    throw asReproError(error)
  } finally {
    await rm(temporary, { force: true })
  }
}

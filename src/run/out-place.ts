import { chmod, lstat, mkdir, readdir, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { escapeControl } from '../core/text.ts'
import type { RunFolder } from './run-folder.ts'

const SET_UID_OR_GID = 0o6000
const STICKY = 0o1000
const OTHERS_WRITE = 0o002
const OWNERS = 0o700

/** Where an app writes while it runs: in a folder that nobody but the caller can enter. */
export interface OutPlace {
  readonly host: string
  /**
   * Clears what must not be left behind, and puts the outputs where the reader wants them.
   * Returns the paths of files that would have run with the caller's rights for whoever started them.
   */
  close(): Promise<readonly string[]>
}

/** The folder of a run is private; a folder that the reader named need not be, so it gets a private one within. */
export async function openOutPlace(run: RunFolder): Promise<OutPlace> {
  const own = join(run.path, 'out')
  if (run.out === own) return { host: own, close: () => settleOutputs(own) }
  const parent = join(run.out, `.repro-${run.id}`)
  const host = join(parent, 'out')
  await mkdir(parent, { mode: 0o700 })
  await mkdir(host)
  return {
    host,
    async close() {
      const found = await settleOutputs(host)
      for (const name of await readdir(host, { encoding: 'buffer' }))
        await rename(below(host, name), below(run.out, name))
      await rmdir(host)
      await rmdir(parent)
      return found
    },
  }
}

/**
 * Goes through everything an ended app has left in `folder`, never through a link: no file keeps set-uid, set-gid and
 * sticky bits, nothing stays writable for everybody, and folders can be entered by the caller.
 */
async function settleOutputs(folder: string): Promise<string[]> {
  const found: string[] = []
  const settle = async (path: Buffer, shown: string): Promise<void> => {
    const stats = await lstat(path)
    const isFolder = stats.isDirectory()
    if (!isFolder && !stats.isFile()) return
    const mode = stats.mode & 0o7777
    // New folders get set-gid from their parent on shared disks; it gives nobody any rights.
    const cleared = isFolder ? OTHERS_WRITE : SET_UID_OR_GID | STICKY | OTHERS_WRITE
    const settled = (mode & ~cleared) | (isFolder ? OWNERS : 0)
    if (settled !== mode) await chmod(path, settled)
    if (!isFolder) {
      if (mode & SET_UID_OR_GID) found.push(shown)
      return
    }
    for (const name of await readdir(path, { encoding: 'buffer' }))
      await settle(below(path, name), `${shown}${shown === '' ? '' : '/'}${name.toString()}`)
  }
  await settle(Buffer.from(folder), '')
  return found.map(escapeControl)
}

/** Names are bytes: an app may write what is no UTF-8. */
const below = (folder: string | Buffer, name: Buffer) =>
  Buffer.concat([Buffer.from(folder), Buffer.from('/'), name])

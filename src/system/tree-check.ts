import { lstat } from 'node:fs/promises'
import { ReproError } from '../core/errors.ts'
import { hashFile } from './hash-file.ts'

/** A file, absolute, and what must stand there. */
export interface FileToCheck {
  readonly path: string
  readonly size: number
  readonly blake3: string
  readonly executable: boolean
}

/** What stands at a path: `moving` changed while it was read. `state` is there when it was asked for. */
export type Checked =
  | { readonly is: 'equal'; readonly state?: string }
  | { readonly is: 'missing' | 'link' | 'special' | 'folder' | 'mode' | 'moving' }
  | { readonly is: 'size'; readonly found: number }
  | { readonly is: 'hash'; readonly found: string }

/** As a check of `TreePool`, in this thread. */
export async function checkHere(file: FileToCheck, signal?: AbortSignal): Promise<Checked> {
  const stats = await lstat(file.path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
    throw error
  })
  if (!stats) return { is: 'missing' }
  if (stats.isSymbolicLink()) return { is: 'link' }
  if (!stats.isFile()) return { is: stats.isDirectory() ? 'folder' : 'special' }
  if (stats.size !== file.size) return { is: 'size', found: stats.size }
  if (((stats.mode & 0o100) !== 0) !== file.executable) return { is: 'mode' }
  try {
    const { blake3, state } = await hashFile(file.path, signal)
    return blake3 === file.blake3 ? { is: 'equal', state } : { is: 'hash', found: blake3 }
  } catch (error) {
    if (error instanceof ReproError && error.code === 'SOURCE_CHANGED') return { is: 'moving' }
    throw error
  }
}

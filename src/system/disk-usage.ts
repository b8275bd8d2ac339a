import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { parallel } from './parallel.ts'

const AT_ONCE = 16

/** Counts what folders take on disk as `du` does: allocated blocks, a file with several names once. */
export class DiskUsage {
  readonly #seen = new Set<string>()

  /** Bytes allocated for a folder itself, without what is in it. */
  async entry(folder: string): Promise<number> {
    return (await lstat(folder)).blocks * 512
  }

  /** Bytes allocated for `path` and all below it that was not counted yet; 0 when there is nothing. */
  async of(path: string): Promise<number> {
    const stats = await lstat(path, { bigint: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return null
      throw error
    })
    if (stats === null) return 0
    const allocated = Number(stats.blocks) * 512
    if (!stats.isDirectory()) {
      if (stats.nlink > 1n) {
        const id = `${stats.dev}:${stats.ino}`
        if (this.#seen.has(id)) return 0
        this.#seen.add(id)
      }
      return allocated
    }
    const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'EACCES') return []
      throw error
    })
    let bytes = allocated
    for await (const below of parallel(names, AT_ONCE, name => this.of(join(path, name))))
      bytes += below
    return bytes
  }
}

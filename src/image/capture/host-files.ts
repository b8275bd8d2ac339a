import { type BigIntStats, createReadStream } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { posix } from 'node:path'
import { fail } from '../../core/errors.ts'
import { formatFileState } from '../../system/file-state.ts'
import { toBytePath } from '../byte-path.ts'
import { MAX_LINKS_FOLLOWED } from '../limits.ts'
import type { TarItem } from '../tar/tar-writer.ts'

type Captured =
  | { readonly type: 'folder'; readonly mode: number }
  | { readonly type: 'link'; readonly target: string }
  | {
      readonly type: 'file'
      readonly mode: number
      readonly stats: BigIntStats
      readonly source: string
    }
  | { readonly type: 'text'; readonly text: string }

/** Folders of the running system, which are never captured. */
const LIVE = ['/proc', '/sys', '/dev', '/run']

/** What is to go into an image, by the path it has on this host: files, every link on the way to them, folders above. */
export class HostFiles {
  readonly #entries = new Map<string, Captured>()

  /** Adds a file or an (empty) folder with all links that lead to it. Returns its real path. Throws as `lstat` does. */
  async add(path: string): Promise<string> {
    const parts = split(path).reverse()
    let real = '/'
    let followed = 0
    while (parts.length > 0) {
      const part = parts.pop()!
      const next = posix.join(real, part)
      const stats = await lstat(next, { bigint: true })
      if (stats.isSymbolicLink()) {
        if (++followed > MAX_LINKS_FOLLOWED)
          fail('PROGRAM_MISSING', `the links on the way to "${path}" go round`)
        const target = await readlink(next)
        this.#entries.set(next, { type: 'link', target })
        if (target.startsWith('/')) real = '/'
        parts.push(...split(target).reverse())
      } else {
        this.#put(next, stats)
        real = next
      }
    }
    return real
  }

  /** Adds a folder with all that is in it and passes `keep`. Returns the real paths of its files. */
  async addTree(path: string, keep: (name: string) => boolean): Promise<string[]> {
    const files: string[] = []
    const real = await this.add(path)
    for (const name of (await readdir(real)).sort()) {
      const child = posix.join(real, name)
      const stats = await lstat(child, { bigint: true })
      if (!keep(name)) continue
      if (stats.isDirectory()) files.push(...(await this.addTree(child, keep)))
      else if (stats.isFile()) {
        this.#put(child, stats)
        files.push(child)
      } else if (stats.isSymbolicLink()) {
        // A link into nowhere is kept as it is; one out of the tree brings its target along.
        const target = await this.add(child).catch(() => null)
        if (target !== null) files.push(target)
      }
    }
    return files
  }

  /** Adds a generated file, unless the path is taken. */
  addText(path: string, text: string): void {
    this.#addFolders(posix.dirname(path))
    if (!this.#entries.has(path)) this.#entries.set(path, { type: 'text', text })
  }

  /** Adds a link that the host has not. */
  addLink(path: string, target: string): void {
    this.#addFolders(posix.dirname(path))
    this.#entries.set(path, { type: 'link', target })
  }

  /** Adds a program under another path than it has on the host. */
  async addCopy(path: string, source: string): Promise<void> {
    this.#addFolders(posix.dirname(path))
    const stats = await lstat(source, { bigint: true })
    this.#entries.set(path, { type: 'file', mode: 0o755, stats, source })
  }

  addFolder(path: string, mode: number): void {
    this.#addFolders(posix.dirname(path))
    this.#entries.set(path, { type: 'folder', mode })
  }

  has(path: string): boolean {
    return this.#entries.has(path)
  }

  /** All of it for a tar: sorted, with normal modes. */
  items(): TarItem[] {
    return [...this.#entries]
      .map(([path, entry]) => toItem(path, entry))
      .sort((a, b) => (a.path < b.path ? -1 : 1))
  }

  #put(path: string, stats: BigIntStats): void {
    this.#addFolders(posix.dirname(path))
    if (stats.isDirectory()) {
      if (!this.#entries.has(path)) this.#entries.set(path, { type: 'folder', mode: 0o755 })
    } else if (stats.isFile()) {
      if (LIVE.some(folder => path.startsWith(`${folder}/`)))
        fail('IMAGE_SOURCE', `"${path}" belongs to the running system and cannot go into an image`)
      const mode = (stats.mode & 0o111n) === 0n ? 0o644 : 0o755
      this.#entries.set(path, { type: 'file', mode, stats, source: path })
    }
  }

  #addFolders(path: string): void {
    if (path === '/' || this.#entries.has(path)) return
    this.#addFolders(posix.dirname(path))
    this.#entries.set(path, { type: 'folder', mode: 0o755 })
  }
}

const split = (path: string) => path.split('/').filter(part => part !== '' && part !== '.')

function toItem(path: string, entry: Captured): TarItem {
  const name = toBytePath(path.slice(1))
  if (entry.type === 'folder') return { path: name, type: 'folder', mode: entry.mode }
  if (entry.type === 'link')
    return { path: name, type: 'link', mode: 0o777, target: toBytePath(entry.target) }
  if (entry.type === 'text') {
    const bytes = Buffer.from(entry.text)
    const body = async function* () {
      yield bytes
    }
    return { path: name, type: 'file', mode: 0o644, size: bytes.length, body }
  }
  const { stats, mode, source } = entry
  return {
    path: name,
    type: 'file',
    mode,
    size: Number(stats.size),
    body: () => read(source, stats),
  }
}

async function* read(path: string, stats: BigIntStats): AsyncGenerator<Uint8Array> {
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }))
    yield chunk as Buffer
  if (formatFileState(await lstat(path, { bigint: true })) !== formatFileState(stats))
    fail('SOURCE_CHANGED', `"${path}" changed while it was being captured`, {
      hints: ['wait until nothing writes to it, then repeat the command'],
    })
}

/** The first bytes of a file. */
export async function readHead(path: string, bytes: number): Promise<Buffer> {
  const handle = await open(path, 'r')
  try {
    const buffer = Buffer.alloc(bytes)
    const { bytesRead } = await handle.read(buffer, 0, bytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

import { type BigIntStats, constants } from 'node:fs'
import { lstat, open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { comparePaths, isReserved, pathFault, RESERVED, twinKey } from '../core/archive-path.ts'
import { compilePatterns } from '../core/glob.ts'
import { LinkTree } from '../core/link-tree.ts'
import { escapeControl } from '../core/text.ts'
import { formatFileState } from '../system/file-state.ts'
import { parallel } from '../system/parallel.ts'
import type { AuthorFault, AuthorRemark } from './faults.ts'

/** A regular file of the author's folder. */
export interface TreeFile {
  /** Path in the bundle. */
  readonly path: string
  /** Where it lies. */
  readonly absolute: string
  readonly size: number
  readonly state: string
}

export interface Tree {
  /** All sorted by path. */
  readonly files: readonly TreeFile[]
  readonly links: readonly { readonly path: string; readonly target: string }[]
  readonly emptyFolders: readonly string[]
  /** Everything that keeps the folder from being published, all at once. */
  readonly faults: readonly AuthorFault[]
  readonly warnings: readonly AuthorRemark[]
  /** Output folders of apps that are there and hold something: they stay out. */
  readonly skippedOuts: readonly string[]
}

export interface WalkOptions {
  /** `exclude:` of the manifest. */
  readonly exclude: readonly string[]
  /** Exact paths that stay out: output folders of apps. */
  readonly outs: readonly string[]
  /** Exact paths that stay out: image files, published as images. */
  readonly imageSources: readonly string[]
  readonly signal?: AbortSignal | undefined
}

/**
 * Lists what of `root` belongs to the bundle, following no link. Names that a bundle cannot hold, links that leave it,
 * special files, setuid bits and unreadable things are faults; the walk goes on, so that all are found.
 */
export async function walkTree(root: string, options: WalkOptions): Promise<Tree> {
  return await new Walk(root, options).run()
}

/** Looks at so many entries of a folder at a time: network file systems answer slowly. */
const AT_ONCE = 32
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

class Walk {
  readonly #root: string
  readonly #options: WalkOptions
  readonly #excluded: (path: string) => boolean
  readonly #exact: ReadonlySet<string>
  readonly #files: TreeFile[] = []
  readonly #links = new Map<string, string>()
  readonly #emptyFolders: string[] = []
  readonly #folders: string[] = []
  readonly #faults: AuthorFault[] = []
  readonly #skippedOuts: string[] = []

  constructor(root: string, options: WalkOptions) {
    this.#root = root
    this.#options = options
    this.#excluded = compilePatterns(['.git', ...options.exclude], true)
    this.#exact = new Set([...options.outs, ...options.imageSources, RESERVED])
  }

  async run(): Promise<Tree> {
    const left = ['']
    while (left.length > 0) {
      this.#options.signal?.throwIfAborted()
      left.push(...(await this.#folder(left.pop()!)))
    }
    for (const [path, why] of new LinkTree(this.#links).faults())
      this.#fault('LINK_UNSAFE', path, `the link to "${this.#links.get(path)}" ${why}`, [
        `make it relative and within the folder, or add '${path}' to exclude`,
      ])
    const byPath = (a: { path: string }, b: { path: string }) => comparePaths(a.path, b.path)
    return {
      files: this.#files.sort(byPath),
      links: [...this.#links].map(([path, target]) => ({ path, target })).sort(byPath),
      emptyFolders: this.#emptyFolders.sort(comparePaths),
      faults: this.#faults.sort((a, b) => comparePaths(a.file ?? '', b.file ?? '')),
      warnings: [...this.#twins(), ...this.#dangling()],
      skippedOuts: this.#skippedOuts.sort(comparePaths),
    }
  }

  /** Takes in what lies directly in a folder; returns the folders below. */
  async #folder(folder: string): Promise<string[]> {
    const names = await readdir(join(this.#root, folder), { encoding: 'buffer' }).catch(error => {
      this.#unreadable(folder === '' ? '.' : folder, error)
      return null
    })
    if (names === null) return []
    const below: string[] = []
    const paths = names.flatMap(name => this.#path(folder, name) ?? [])
    for await (const { path, isFolder } of parallel(paths, AT_ONCE, async path => ({
      path,
      isFolder: await this.#entry(path),
    })))
      if (isFolder) below.push(path)
    if (folder !== '' && names.length === 0) this.#emptyFolders.push(folder)
    return below
  }

  /** The path in the bundle, or null for what stays out or cannot be named. */
  #path(folder: string, name: Buffer): string | null {
    const prefix = folder === '' ? '' : `${folder}/`
    let text: string
    try {
      text = decoder.decode(name)
    } catch {
      const shown = `${prefix}${escapeControl(
        name
          .toString('latin1')
          .replace(/[\x80-\xff]/g, ch => `\\x${ch.charCodeAt(0).toString(16)}`),
      )}`
      if (!this.#excluded(`${prefix}${name.toString('utf8')}`))
        this.#fault('PATH_UNSAFE', shown, 'this name is not valid UTF-8', ['rename the file'])
      return null
    }
    const path = `${prefix}${text}`
    if (this.#exact.has(path)) {
      if (this.#options.outs.includes(path)) this.#skippedOuts.push(path)
      return null
    }
    if (this.#excluded(path)) return null
    const fault =
      pathFault(path) ?? (isReserved(path) ? 'looks like .repro, which belongs to repro' : null)
    if (fault !== null) {
      this.#fault('PATH_UNSAFE', path, `this name ${fault}`, ['rename the file'])
      return null
    }
    return path
  }

  /** Takes in one entry; true when it is a folder to go into. */
  async #entry(path: string): Promise<boolean> {
    const absolute = join(this.#root, path)
    let stats: BigIntStats
    try {
      stats = await lstat(absolute, { bigint: true })
      if (stats.isSymbolicLink()) {
        this.#links.set(path, decoder.decode(await readlink(absolute, { encoding: 'buffer' })))
        return false
      }
      // What everybody may read needs no trial.
      if (stats.isFile() && (Number(stats.mode) & 0o444) !== 0o444) await tryOpen(absolute)
    } catch (error) {
      if (error instanceof TypeError)
        this.#fault('LINK_UNSAFE', path, 'the target of this link is not valid UTF-8', [
          'make the link anew',
        ])
      else this.#unreadable(path, error)
      return false
    }
    if (stats.isDirectory()) {
      this.#folders.push(path)
      return true
    }
    if (!stats.isFile()) {
      this.#fault(
        'FILE_UNSUPPORTED',
        path,
        `is ${kindOf(stats)}: a bundle holds files, links and folders`,
        [`take it away, or add '${path}' to exclude`],
      )
    } else if ((Number(stats.mode) & 0o6000) !== 0) {
      this.#fault('FILE_UNSUPPORTED', path, 'has a setuid or setgid bit', [`chmod a-s '${path}'`])
    } else {
      const size = Number(stats.size)
      this.#files.push({ path, absolute, size, state: formatFileState(stats) })
    }
    return false
  }

  #unreadable(path: string, error: unknown): void {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT')
      this.#fault('SOURCE_CHANGED', path, 'went away while the folder was being read', [
        'wait until nothing writes to the folder, then repeat the command',
      ])
    else {
      const why = code === 'EACCES' || code === 'EPERM' ? 'permission denied' : message
      this.#fault('READ_FAILED', path, `cannot be read: ${why}`, [
        `make it readable, or add '${path}' to exclude`,
      ])
    }
  }

  #fault(code: AuthorFault['code'], file: string, message: string, hints: string[]): void {
    this.#faults.push({ code, file, message, hints: hints.map(hint => escapeControl(hint)) })
  }

  #twins(): AuthorRemark[] {
    const seen = new Map<string, string>()
    const all = [...this.#files.map(file => file.path), ...this.#links.keys(), ...this.#folders]
    return all.sort(comparePaths).flatMap((path): AuthorRemark[] => {
      const key = twinKey(path)
      const first = seen.get(key)
      seen.set(key, first ?? path)
      if (first === undefined) return []
      const message = `differs from "${first}" only in case or Unicode form: some disks hold only one of them`
      return [{ file: path, message, hints: ['rename one of them'] }]
    })
  }

  #dangling(): AuthorRemark[] {
    const there = new Set([...this.#files.map(file => file.path), ...this.#folders, ''])
    const links = new LinkTree(this.#links)
    const sorted = [...this.#links].sort(([a], [b]) => comparePaths(a, b))
    return sorted.flatMap(([path, target]): AuthorRemark[] => {
      const led = links.follow(path)
      if (led === 'outside' || (led !== 'loop' && there.has(led.path))) return []
      const message = `the link to "${target}" ${led === 'loop' ? 'goes in a circle' : 'points to nothing in the bundle'}`
      return [{ file: path, message, hints: [] }]
    })
  }
}

/** `access` would ask for the real user, not for the one who reads. */
async function tryOpen(path: string): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  await (await open(path, flags)).close()
}

function kindOf(stats: BigIntStats): string {
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'a device' : 'no regular file'
}

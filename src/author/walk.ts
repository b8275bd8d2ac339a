import type { BigIntStats } from 'node:fs'
import { comparePaths, isReserved, pathFault, RESERVED, twinKey } from '../core/archive-path.ts'
import { compilePatterns } from '../core/glob.ts'
import { LinkTree } from '../core/link-tree.ts'
import { escapeControl } from '../core/text.ts'
import { formatFileState } from '../system/file-state.ts'
import { FolderReader, type Looked } from '../system/folder-reader.ts'
import type { AuthorFault, AuthorRemark } from './faults.ts'

/** A regular file of the author's folder. */
export interface TreeFile {
  /** Path in the bundle. */
  readonly path: string
  /** Where it lies. */
  readonly absolute: string
  readonly size: number
  readonly state: string
  readonly mode: number
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

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

class Walk {
  readonly #options: WalkOptions
  readonly #reader: FolderReader
  readonly #excluded: (path: string) => boolean
  readonly #exact: ReadonlySet<string>
  readonly #files: TreeFile[] = []
  readonly #links = new Map<string, string>()
  readonly #emptyFolders: string[] = []
  readonly #folders: string[] = []
  readonly #faults: AuthorFault[] = []
  readonly #skippedOuts: string[] = []

  constructor(root: string, options: WalkOptions) {
    this.#options = options
    this.#reader = new FolderReader(root)
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
    let names: readonly (string | Buffer)[]
    try {
      names = await this.#reader.names(folder)
    } catch (error) {
      this.#unreadable(folder === '' ? '.' : folder, error)
      return []
    }
    const paths = names.flatMap(name => this.#path(folder, name) ?? [])
    const below: string[] = []
    for await (const looked of this.#reader.look(paths, this.#options.signal))
      for (const one of looked) if (this.#entry(one)) below.push(one.path)
    if (folder !== '' && names.length === 0) this.#emptyFolders.push(folder)
    return below
  }

  /** The path in the bundle, or null for what stays out or cannot be named. */
  #path(folder: string, name: string | Buffer): string | null {
    const prefix = folder === '' ? '' : `${folder}/`
    if (typeof name !== 'string') {
      const shown = `${prefix}${escapeControl(
        name
          .toString('latin1')
          .replace(/[\x80-\xff]/g, ch => `\\x${ch.charCodeAt(0).toString(16)}`),
      )}`
      if (!this.#excluded(`${prefix}${name.toString('utf8')}`))
        this.#fault('PATH_UNSAFE', shown, 'this name is not valid UTF-8', ['rename the file'])
      return null
    }
    const path = `${prefix}${name}`
    if (this.#exact.has(path)) {
      if (this.#options.outs.includes(path)) this.#skippedOuts.push(path)
      return null
    }
    if (this.#excluded(path)) return null
    const fault =
      pathFault(path) ??
      (folder === '' && isReserved(path) ? 'looks like .repro, which belongs to repro' : null)
    if (fault !== null) {
      this.#fault('PATH_UNSAFE', path, `this name ${fault}`, ['rename the file'])
      return null
    }
    return path
  }

  /** Takes in one entry; true when it is a folder to go into. */
  #entry({ path, absolute, stats, target, error }: Looked): boolean {
    if (stats === undefined) {
      this.#unreadable(path, error)
      return false
    }
    if (target !== undefined) {
      try {
        this.#links.set(path, decoder.decode(target))
      } catch {
        this.#fault('LINK_UNSAFE', path, 'the target of this link is not valid UTF-8', [
          'make the link anew',
        ])
      }
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
      const [size, mode] = [Number(stats.size), Number(stats.mode)]
      this.#files.push({ path, absolute, size, mode, state: formatFileState(stats) })
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
    const all = [...this.#files.map(file => file.path), ...this.#links.keys(), ...this.#folders]
    if (new Set(all.map(twinKey)).size === all.length) return []
    const seen = new Map<string, string>()
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
    if (this.#links.size === 0) return []
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

function kindOf(stats: BigIntStats): string {
  if (stats.isFIFO()) return 'a named pipe'
  if (stats.isSocket()) return 'a socket'
  return stats.isBlockDevice() || stats.isCharacterDevice() ? 'a device' : 'no regular file'
}

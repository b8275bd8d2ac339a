import { chmodSync, mkdirSync, type PathLike, rmSync, symlinkSync, unlinkSync } from 'node:fs'
import { fail } from '../../core/errors.ts'
import { MOUNT_POINTS } from '../../core/mount-points.ts'
import { createBlake3 } from '../../system/blake3.ts'
import { diskPath, diskTarget, showBytePath } from '../byte-path.ts'
import { MAX_ENTRIES, SMALL_FILE_BYTES } from '../limits.ts'
import { hashRootfsEntries, type RootfsEntry, type TreeHash } from '../rootfs-hash.ts'
import type { TarEntry } from '../tar/tar-reader.ts'
import { FileWrites, linkOrCopy, writeNewFile } from './file-writes.ts'
import {
  childPath,
  type FileNode,
  type FolderNode,
  holdsLayer,
  makeFolder,
  type Place,
  RootfsTree,
} from './rootfs-tree.ts'

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
/** Nobody but the caller may write; set-uid, set-gid and sticky bits are dropped. */
const MODE_MASK = 0o755
/** Dates beyond the year 9999 are not kept. */
const MAX_MTIME = 253_402_300_799

/**
 * Lays layers over each other in an own, empty folder. Nothing outside of it is read or written, whatever the
 * entries say: every path is resolved in memory, in the tree of what was written before (RootfsTree).
 */
export class RootfsWriter {
  readonly #rootfs: string
  readonly #tree = new RootfsTree()
  readonly #writes = new FileWrites()
  /** The running number of the layer; folders that were made on the way carry it. */
  #layer = 0
  #entries = 0
  skipped = 0

  constructor(rootfs: string) {
    this.#rootfs = rootfs
  }

  get entries(): number {
    return this.#entries
  }

  beginLayer(): void {
    this.#layer++
  }

  /** Throws IMAGE_INVALID for what no image may hold. */
  async apply(entry: TarEntry): Promise<void> {
    if (++this.#entries > MAX_ENTRIES)
      fail('IMAGE_INVALID', `the image has more than ${MAX_ENTRIES} entries`)
    if (entry.type === 'special') {
      this.skipped++
      return
    }
    const base = entry.path.slice(entry.path.lastIndexOf('/') + 1)
    if (base.startsWith(WHITEOUT)) return await this.#whiteOut(entry, base)
    const place = this.#tree.place(entry.path, this.#make)!
    if (place.name === '') {
      if (entry.type !== 'folder') invalid(entry, 'would replace a folder on its own way')
      this.#setMode(place.folder, entry.mode)
      return
    }
    if (entry.type === 'folder') await this.#putFolder(place, entry)
    else if (entry.type === 'link') await this.#putLink(place, entry.target)
    else if (entry.type === 'hardlink') await this.#putHardLink(place, entry)
    else await this.#putFile(place, entry)
  }

  /** Makes the mount points and gives the tree hash. */
  async finish(): Promise<{ treeHash: TreeHash; files: number; bytes: number }> {
    await this.#writes.settle()
    const entries: RootfsEntry[] = []
    let files = 0
    let bytes = 0
    for (const { path, node } of this.#tree.walk()) {
      if (node.type === 'file') {
        files++
        bytes += node.content.size
        entries.push({ path, type: 'file', ...node.content })
      } else if (node.type === 'link') entries.push({ path, type: 'link', target: node.target })
      else entries.push({ path, type: 'folder' })
    }
    await this.#makeMountPoints()
    return { treeHash: hashRootfsEntries(entries), files, bytes }
  }

  /** Waits until nothing is being written any more, whatever became of it. */
  async close(): Promise<void> {
    await this.#writes.close()
  }

  readonly #make = (parent: FolderNode, name: string): FolderNode => {
    const folder = makeFolder(parent, childPath(parent, name), 0o755, this.#layer)
    mkdirSync(this.#disk(folder.path), { mode: folder.mode })
    parent.children.set(name, folder)
    return folder
  }

  async #putFolder(place: Place, entry: TarEntry): Promise<void> {
    const there = place.folder.children.get(place.name)
    if (there?.type === 'folder') {
      there.layer = this.#layer
      this.#setMode(there, entry.mode)
      return
    }
    if (there) await this.#remove(place)
    this.#setMode(this.#make(place.folder, place.name), entry.mode)
  }

  async #putLink(place: Place, target: string): Promise<void> {
    await this.#remove(place)
    symlinkSync(diskTarget(target), this.#diskOf(place))
    place.folder.children.set(place.name, { type: 'link', layer: this.#layer, target })
  }

  async #putHardLink(place: Place, entry: TarEntry): Promise<void> {
    const from = this.#tree.place(entry.target)
    const target = from && from.name !== '' ? from.folder.children.get(from.name) : undefined
    if (!from || !target)
      invalid(entry, `is a hard link to "${showBytePath(entry.target)}", which is not there`)
    if (target.type === 'folder')
      invalid(entry, `is a hard link to the folder "${showBytePath(entry.target)}"`)
    if (target === place.folder.children.get(place.name)) return
    if (target.type === 'link') return await this.#putLink(place, target.target)
    await this.#remove(place)
    await this.#writes.settle()
    linkOrCopy(this.#diskOf(from), this.#diskOf(place))
    place.folder.children.set(place.name, { ...target, layer: this.#layer })
  }

  async #putFile(place: Place, entry: TarEntry): Promise<void> {
    await this.#remove(place)
    const path = this.#diskOf(place)
    const mode = (entry.mode & MODE_MASK) | 0o400
    const mtime = Math.min(entry.mtime, MAX_MTIME)
    const content = { blake3: '', size: entry.size, executable: (mode & 0o100) !== 0 }
    const hasher = createBlake3()
    if (entry.size <= SMALL_FILE_BYTES) {
      const chunks: Buffer[] = []
      for await (const chunk of entry.body()) {
        hasher.update(chunk)
        chunks.push(chunk)
      }
      const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      await this.#writes.add(path, mode, mtime, bytes)
    } else await writeNewFile(path, mode, mtime, hashed(entry.body(), hasher))
    content.blake3 = hasher.hex()
    const node: FileNode = { type: 'file', layer: this.#layer, content }
    place.folder.children.set(place.name, node)
  }

  /** Hides what lower layers put there; what this layer put there stays. */
  async #whiteOut(entry: TarEntry, base: string): Promise<void> {
    const cut = entry.path.length - base.length
    const name = base === OPAQUE ? '' : base.slice(WHITEOUT.length)
    if (base !== OPAQUE && (name === '' || name === '.' || name === '..'))
      invalid(entry, 'is no valid whiteout')
    const place = this.#tree.place(`${entry.path.slice(0, cut)}${name}`)
    if (!place) return
    if (base === OPAQUE) {
      const folder = place.name === '' ? place.folder : this.#realFolder(place)
      if (folder) for (const child of [...folder.children.keys()]) await this.#hide(folder, child)
    } else if (place.name !== '') await this.#hide(place.folder, place.name)
  }

  /** The folder at a place, through links: an opaque mark names the folder by a path that may be a link. */
  #realFolder(place: Place): FolderNode | null {
    const inside = this.#tree.place(`${childPath(place.folder, place.name)}/.`, undefined)
    if (inside?.name === '') return inside.folder
    const node = inside?.folder.children.get(inside.name)
    return node?.type === 'folder' ? node : null
  }

  async #hide(folder: FolderNode, name: string): Promise<void> {
    const node = folder.children.get(name)
    if (!node || (node.type !== 'folder' && node.layer === this.#layer)) return
    if (node.type === 'folder' && holdsLayer(node, this.#layer)) {
      for (const child of [...node.children.keys()]) await this.#hide(node, child)
      return
    }
    await this.#remove({ folder, name })
  }

  async #remove(place: Place): Promise<void> {
    const node = place.folder.children.get(place.name)
    if (!node) return
    await this.#writes.settle()
    const path = this.#diskOf(place)
    if (node.type === 'folder') rmSync(path, { recursive: true, force: true })
    else unlinkSync(path)
    place.folder.children.delete(place.name)
  }

  async #makeMountPoints(): Promise<void> {
    for (const path of MOUNT_POINTS) {
      const parts = path.slice(1).split('/')
      let folder = this.#tree.root
      for (const name of parts) {
        const node = folder.children.get(name)
        if (node && node.type !== 'folder') await this.#remove({ folder, name })
        folder = node?.type === 'folder' ? node : this.#make(folder, name)
      }
    }
  }

  #setMode(folder: FolderNode, mode: number): void {
    const wanted = (mode & MODE_MASK) | 0o700
    if (folder.mode === wanted) return
    folder.mode = wanted
    chmodSync(this.#disk(folder.path), wanted)
  }

  #disk(path: string): PathLike {
    return diskPath(this.#rootfs, path)
  }

  #diskOf(place: Place): PathLike {
    return this.#disk(childPath(place.folder, place.name))
  }
}

async function* hashed(
  chunks: AsyncIterable<Buffer>,
  hasher: { update(bytes: Uint8Array): unknown },
): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hasher.update(chunk)
    yield chunk
  }
}

function invalid(entry: TarEntry, what: string): never {
  return fail('IMAGE_INVALID', `"${showBytePath(entry.path)}" in the image ${what}`, {
    data: { path: showBytePath(entry.path) },
  })
}

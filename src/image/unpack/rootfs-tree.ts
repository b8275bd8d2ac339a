import { fail } from '../../core/errors.ts'
import { showBytePath } from '../byte-path.ts'
import { MAX_LINKS_FOLLOWED, MAX_PATH_BYTES, MAX_WALK_STEPS } from '../limits.ts'
import { isMountPoint } from '../mount-points.ts'

/** What has been unpacked so far, in memory. Only the unpacker writes to its folder, so this is what lies on disk. */
export interface FolderNode {
  readonly type: 'folder'
  readonly path: string
  readonly parent: FolderNode | null
  readonly children: Map<string, TreeNode>
  mode: number
  /** The last layer that wrote it. */
  layer: number
}
export interface FileNode {
  readonly type: 'file'
  layer: number
  readonly content: FileContent
}
interface LinkNode {
  readonly type: 'link'
  layer: number
  readonly target: string
}
export type TreeNode = FolderNode | FileNode | LinkNode

/** Shared by the hard links of one file. */
interface FileContent {
  blake3: string
  readonly size: number
  readonly executable: boolean
}

/** A place in the tree: an own name in a real folder, or the root folder itself (`name` is empty). */
export interface Place {
  readonly folder: FolderNode
  readonly name: string
}

/**
 * Walks paths of an image as they would be walked inside of it (chroot): absolute paths and targets begin at the root,
 * `..` at the root stays there, links on the way are followed, the last part is not. So no path leads outside.
 */
export class RootfsTree {
  readonly root: FolderNode = makeFolder(null, '', 0o755, 0)
  #steps = 0

  /**
   * Where `path` lies. Missing folders on the way are made by `make`, or are a null result without it.
   * Throws IMAGE_INVALID when a file is in the way or links go round.
   */
  place(path: string, make?: (parent: FolderNode, name: string) => FolderNode): Place | null {
    const parts = split(path).reverse()
    let folder = this.root
    let followed = 0
    while (parts.length > 0) {
      if (++this.#steps > MAX_WALK_STEPS)
        fail('IMAGE_INVALID', 'the links of the image take too long to follow')
      const part = parts.pop()!
      if (part === '..') {
        folder = folder.parent ?? folder
        continue
      }
      if (parts.length === 0) return { folder, name: part }
      const next: TreeNode | undefined = folder.children.get(part)
      if (next?.type === 'link') {
        if (++followed > MAX_LINKS_FOLLOWED)
          fail('IMAGE_INVALID', `the links on the way to "${showBytePath(path)}" go round`)
        if (next.target.startsWith('/')) folder = this.root
        parts.push(...split(next.target).reverse())
        continue
      }
      if (next?.type === 'file') fail('IMAGE_INVALID', `"${showBytePath(path)}" lies below a file`)
      if (next) folder = next
      else if (make) folder = make(folder, part)
      else return null
    }
    return { folder, name: '' }
  }

  /** Everything but the root folder and the mount points. */
  *walk(): Generator<{ path: string; node: TreeNode }> {
    const stack: FolderNode[] = [this.root]
    for (let folder = stack.pop(); folder; folder = stack.pop()) {
      for (const [name, node] of folder.children) {
        if (folder === this.root && isMountPoint(name)) continue
        yield { path: childPath(folder, name), node }
        if (node.type === 'folder') stack.push(node)
      }
    }
  }
}

/** True when the layer wrote the folder or anything in it. */
export function holdsLayer(folder: FolderNode, layer: number): boolean {
  const stack: TreeNode[] = [folder]
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (node.layer === layer) return true
    if (node.type === 'folder') stack.push(...node.children.values())
  }
  return false
}

export function childPath(folder: FolderNode, name: string): string {
  const path = folder.path === '' ? name : `${folder.path}/${name}`
  if (path.length > MAX_PATH_BYTES - 512)
    fail('IMAGE_INVALID', `the path "${showBytePath(path.slice(0, 80))}…" of the image is too long`)
  return path
}

export function makeFolder(
  parent: FolderNode | null,
  path: string,
  mode: number,
  layer: number,
): FolderNode {
  return { type: 'folder', path, parent, children: new Map(), mode, layer }
}

const split = (path: string) => path.split('/').filter(part => part !== '' && part !== '.')

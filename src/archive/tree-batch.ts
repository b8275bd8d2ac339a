import type Hyperbee from 'hyperbee'
import messages from 'hyperbee/lib/messages.js'
import { fail } from '../core/errors.ts'

/** A node of Hyperbee with more keys than this is split (test/archive/tree-batch.test.ts compares with Hyperbee's own). */
const MAX_KEYS = 8

/** A key lies in the block that was appended with it; `bytes` is null until they were read. */
interface Key {
  readonly seq: number
  bytes: Buffer | null
}

interface Child {
  seq: number
  offset: number
  node: TreeNode | null
}

interface TreeNode {
  readonly keys: Key[]
  readonly children: Child[]
  /** The block that it lies in, or will lie in, and its place among the nodes there. */
  seq: number
  offset: number
  /** Whether a put of this batch changed it. */
  changed: boolean
}

/** What is read of a block. */
interface Block {
  readonly key: Buffer
  readonly levels: readonly messages.Level[]
}

interface Put {
  readonly key: Buffer
  readonly value: Buffer
}

/**
 * Puts many entries into a Hyperbee in one append: the same tree as by its own batch, in blocks of the same form, but with
 * no turn of the event loop for each node. Keys in their order are fastest. Nobody else may write to the tree meanwhile.
 */
export class TreeBatch {
  readonly #bee: Hyperbee
  readonly #read = new Map<number, Block>()
  #root: TreeNode | null = null
  #puts: Put[] = []
  /** Length of the core that the batch goes behind. */
  #base = -1

  constructor(bee: Hyperbee) {
    this.#bee = bee
  }

  /** Takes an entry; `key` and `value` are as Hyperbee's encodings give them. Throws STORE_INVALID for a broken tree. */
  async put(key: Buffer, value: Buffer): Promise<void> {
    const path: TreeNode[] = []
    let node = this.#root ?? (await this.#open())
    const seq = this.#base + this.#puts.length
    for (;;) {
      path.push(node)
      let [low, high] = [0, node.keys.length]
      let order = -1
      while (low < high && order !== 0) {
        const middle = (low + high) >>> 1
        const other = node.keys[middle]!
        other.bytes ??= (await this.#block(other.seq)).key
        order = Buffer.compare(key, other.bytes)
        if (order < 0) high = middle
        else if (order > 0) low = middle + 1
        else node.keys[middle] = { seq, bytes: key }
      }
      if (order === 0) break
      const child = node.children[low]
      if (child) {
        node = child.node ??= await this.#load(child)
        continue
      }
      node.keys.splice(low, 0, { seq, bytes: key })
      this.#split(path, seq)
      break
    }
    for (const one of path) {
      one.seq = seq
      one.changed = true
    }
    this.#puts.push({ key, value })
  }

  /** Appends what was put; more may be put then. */
  async flush(): Promise<void> {
    const puts = this.#puts
    const root = this.#root
    if (puts.length === 0 || !root) return
    const nodes: TreeNode[][] = puts.map(() => [])
    this.#place(root, nodes)
    const blocks = puts.map(({ key, value }, i) => {
      const levels = nodes[i]!.map(({ keys, children }) => ({
        keys: keys.map(one => one.seq),
        children: children.flatMap(child => [child.seq, child.offset]),
      }))
      return messages.Node.encode({ key, value, index: messages.YoloIndex.encode({ levels }) })
    })
    const { core } = this.#bee
    if (core.length !== this.#base)
      fail('INTERNAL', 'the tree was written to by somebody else during a batch')
    await core.append(blocks)
    this.#read.clear()
    this.#puts = []
    const last = this.#base + puts.length - 1
    this.#base += puts.length
    keepPath(root, last)
  }

  async #open(): Promise<TreeNode> {
    const { core } = this.#bee
    this.#base = core.length
    if (this.#base < 1) fail('INTERNAL', 'the tree has no header yet')
    this.#root =
      this.#base === 1
        ? { keys: [], children: [], seq: 0, offset: 0, changed: false }
        : await this.#load({ seq: this.#base - 1, offset: 0 })
    return this.#root
  }

  async #load({ seq, offset }: Pick<Child, 'seq' | 'offset'>): Promise<TreeNode> {
    const level = (await this.#block(seq)).levels[offset]
    if (!level) fail('STORE_INVALID', `block ${seq} of the drive's tree has no node ${offset}`)
    const children: Child[] = []
    for (let i = 0; i + 1 < level.children.length; i += 2)
      children.push({ seq: level.children[i]!, offset: level.children[i + 1]!, node: null })
    if (children.length > 0 && children.length !== level.keys.length + 1)
      fail('STORE_INVALID', `node ${offset} in block ${seq} of the drive's tree is malformed`)
    const keys = level.keys.map((one): Key => ({ seq: one, bytes: null }))
    return { keys, children, seq, offset, changed: false }
  }

  async #block(seq: number): Promise<Block> {
    const known = this.#read.get(seq)
    if (known) return known
    const bytes = await this.#bee.core.get(seq, { wait: false })
    if (!bytes) fail('STORE_INVALID', `block ${seq} of the drive's tree is not here`)
    const { key, index } = messages.Node.decode(bytes)
    const block = { key, levels: messages.YoloIndex.decode(index).levels }
    this.#read.set(seq, block)
    return block
  }

  /** Splits the last node of a path and those above it while they have too many keys. */
  #split(path: TreeNode[], seq: number): void {
    for (let depth = path.length - 1; path[depth]!.keys.length > MAX_KEYS; depth--) {
      const left = path[depth]!
      const half = left.keys.length >> 1
      const right: TreeNode = {
        keys: left.keys.splice(-half),
        children: left.children.length > 0 ? left.children.splice(-half - 1) : [],
        seq,
        offset: 0,
        changed: true,
      }
      const median = left.keys.pop()!
      const sibling = { seq: 0, offset: 0, node: right }
      if (depth === 0) {
        const children = [{ seq: 0, offset: 0, node: left }, sibling]
        this.#root = { keys: [median], children, seq, offset: 0, changed: true }
        return
      }
      const parent = path[depth - 1]!
      const at = parent.children.findIndex(child => child.node === left)
      parent.keys.splice(at, 0, median)
      parent.children.splice(at + 1, 0, sibling)
    }
  }

  /** Gives changed nodes their places in the blocks; the root is the first of the last. */
  #place(node: TreeNode, nodes: readonly TreeNode[][]): void {
    node.offset = nodes[node.seq - this.#base]!.push(node) - 1
    for (const child of node.children) {
      if (!child.node?.changed) continue
      this.#place(child.node, nodes)
      child.seq = child.node.seq
      child.offset = child.node.offset
    }
  }
}

/** Lets go of all nodes but those on the way to what was put last: there the next are put. */
function keepPath(node: TreeNode, last: number): void {
  node.changed = false
  for (const child of node.children) {
    if (child.node?.seq === last) keepPath(child.node, last)
    else child.node = null
  }
}

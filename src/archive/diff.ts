import type { IndexEntry } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { fail } from '../core/errors.ts'
import type { ReleaseSource } from '../core/release-source.ts'
import { type IndexNode, readSegment, type SegmentReader } from './content-index.ts'
import { safeEntries } from './index-entries.ts'
import { segmentsOf } from './segments.ts'

/** One difference between two releases, in order of paths. */
export interface Difference {
  readonly change: 'added' | 'removed' | 'changed'
  readonly path: string
  readonly before: IndexEntry | null
  readonly after: IndexEntry | null
}

/**
 * What must be done to `a` to get `b`. Index segments that both have are not even read.
 * Throws HASH_MISMATCH, RECORD_INVALID, NO_PEER.
 */
export async function* diffReleases(
  a: ReleaseSource,
  b: ReleaseSource,
): AsyncGenerator<Difference> {
  const left = new Cursor(a)
  const right = new Cursor(b)
  for (;;) {
    const [x, y] = [left.head, right.head]
    if (!x && !y) return
    if (x?.segment && x.segment === y?.segment) {
      left.skip()
      right.skip()
    } else if (x?.segment && (!y?.segment || x.entries >= y.entries)) await left.descend()
    else if (y?.segment) await right.descend()
    else yield* compareEntries(left, right)
  }
}

function* compareEntries(left: Cursor, right: Cursor): Generator<Difference> {
  const before = left.head?.entry ?? null
  const after = right.head?.entry ?? null
  const order = !before ? 1 : !after ? -1 : comparePaths(before.path, after.path)
  if (order < 0) {
    left.skip()
    yield { change: 'removed', path: before!.path, before, after: null }
  } else if (order > 0) {
    right.skip()
    yield { change: 'added', path: after!.path, before: null, after }
  } else {
    left.skip()
    right.skip()
    if (JSON.stringify(before) !== JSON.stringify(after))
      yield { change: 'changed', path: after!.path, before, after }
  }
}

/** The nodes of an index from left to right, each opened only when asked for. */
class Cursor {
  /** Nodes still to come, the next one last. */
  readonly #stack: IndexNode[]
  readonly #read: SegmentReader
  #last: string | null = null

  constructor(source: ReleaseSource) {
    this.#read = segmentsOf(source)
    const { blake3, entries } = source.manifest.index
    this.#stack = entries === 0 ? [] : [{ segment: blake3, entry: null, entries }]
  }

  get head(): IndexNode | undefined {
    return this.#stack.at(-1)
  }

  skip(): void {
    const { entry } = this.#stack.pop() ?? {}
    if (!entry) return
    if (this.#last !== null && comparePaths(this.#last, entry.path) >= 0)
      fail('RECORD_INVALID', `the content index is invalid: "${entry.path}" is out of order`)
    this.#last = entry.path
  }

  async descend(): Promise<void> {
    const node = this.#stack.pop()
    if (!node?.segment) return
    const nodes = await readSegment(node.segment, this.#read)
    for await (const _ of safeEntries(entriesOf(nodes)));
    this.#stack.push(...nodes.reverse())
  }
}

async function* entriesOf(nodes: readonly IndexNode[]): AsyncGenerator<IndexEntry> {
  for (const { entry } of nodes) if (entry) yield entry
}

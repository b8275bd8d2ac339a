import { type IndexEntry, type IndexRoot, indexRoot } from '../../schemas/index.ts'
import { type BuiltIndex, buildIndex } from '../archive/content-index.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail } from '../core/errors.ts'
import { blake3 } from '../system/blake3.ts'
import type { StatCache } from '../system/stat-cache.ts'
import type { Tree, TreeFile } from './walk.ts'

/** Another one wherever the same entries get another index. */
const RULE = 'index of format 0'

/**
 * The content index of an author's tree. Of a tree that is as it was the last time, its root is known from then, and
 * entries and segments are made only when they are asked for: a publish that finds nothing new needs neither.
 */
export class TreeIndex {
  readonly root: IndexRoot
  /** What the next time can take the root from. */
  readonly memo: string
  readonly #makeEntries: () => readonly IndexEntry[]
  #entries: readonly IndexEntry[] | undefined
  #built: BuiltIndex | undefined

  constructor(
    known: StatCache,
    files: readonly TreeFile[],
    tree: Tree,
    makeEntries: () => readonly IndexEntry[],
  ) {
    this.#makeEntries = makeEntries
    const rest = blake3(JSON.stringify([RULE, tree.links, tree.emptyFolders]))
    this.root = rootIn(known.memoOf(files), rest) ?? this.#build().root
    this.memo = `${rest} ${canonicalJson(this.root)}`
  }

  /** Sorted by path. */
  get entries(): readonly IndexEntry[] {
    this.#entries ??= this.#makeEntries()
    return this.#entries
  }

  /** Every segment by BLAKE3. Throws HASH_MISMATCH when the root that was known is not that of these entries. */
  get segments(): ReadonlyMap<string, string> {
    const { root, segments } = this.#build()
    if (root.blake3 === this.root.blake3) return segments
    return fail('HASH_MISMATCH', 'the cache names another index than that of the files', {
      hints: ['hash all files again: --rehash'],
      data: { found: root.blake3, expected: this.root.blake3 },
    })
  }

  #build(): BuiltIndex {
    this.#built ??= buildIndex(this.entries)
    return this.#built
  }
}

/** The root that a memo names, when it was made with the same links and folders. */
function rootIn(memo: string | null, rest: string): IndexRoot | null {
  if (!memo?.startsWith(`${rest} `)) return null
  try {
    return indexRoot.parse(JSON.parse(memo.slice(rest.length)))
  } catch {
    return null
  }
}

import type { IndexEntry } from '../../schemas/index.ts'
import { linkFault } from './archive-path.ts'
import { fail } from './errors.ts'

const MAX_HOPS = 40

interface Node {
  target: string | null
  below: Map<string, Node> | null
}

/**
 * All links of a bundle, as a tree of the folders they lie in: following one costs as much as its targets are long,
 * however deep a stranger makes them. Pure.
 */
export class LinkTree {
  readonly #links: ReadonlyMap<string, string>
  readonly #root: Node = { target: null, below: null }

  /** @param links targets by path. */
  constructor(links: ReadonlyMap<string, string>) {
    this.#links = links
    for (const [path, target] of links) {
      let node = this.#root
      for (const part of path.split('/')) {
        node.below ??= new Map()
        let next = node.below.get(part)
        if (!next) {
          next = { target: null, below: null }
          node.below.set(part, next)
        }
        node = next
      }
      node.target = target
    }
  }

  /**
   * Why each link that may not be in a bundle may not, by its path. Beside `linkFault`, which looks at one link, this
   * follows links through other links: `a/b/up -> ..` and `a/b/p -> up/../..` each stay inside, and together leave.
   */
  faults(): Map<string, string> {
    const faults = new Map<string, string>()
    for (const [path, target] of this.#links) {
      const fault = linkFault(path, target)
      if (fault !== null) faults.set(path, fault)
      else if (this.follow(path) === 'outside')
        faults.set(path, 'points outside the bundle by way of another link')
    }
    return faults
  }

  /** Where `path` leads when every link on the way is followed, as a system would. */
  follow(path: string): { readonly path: string } | 'outside' | 'loop' {
    const done: { readonly part: string; readonly node: Node | undefined }[] = []
    const left = path.split('/').reverse()
    let hops = 0
    while (left.length > 0) {
      const part = left.pop()!
      if (part === '' || part === '.') continue
      if (part === '..') {
        if (done.pop() === undefined) return 'outside'
        continue
      }
      const above = done.length === 0 ? this.#root : done.at(-1)!.node
      const node = above?.below?.get(part)
      const target = node?.target ?? null
      if (target === null) {
        done.push({ part, node })
        continue
      }
      if (target.startsWith('/')) return 'outside'
      if (++hops > MAX_HOPS) return 'loop'
      for (const next of target.split('/').reverse()) left.push(next)
    }
    return { path: done.map(({ part }) => part).join('/') }
  }
}

/**
 * Refuses a release, or a part of one, whose links lead out of its folder: before any of it is written.
 * What is no link may be among `entries`. Throws LINK_UNSAFE naming the first of them.
 */
export function assertLinksInside(entries: readonly IndexEntry[]): void {
  const links = new Map(
    entries.flatMap(entry => (entry.type === 'link' ? [[entry.path, entry.target]] : [])),
  )
  for (const [path, fault] of new LinkTree(links).faults())
    fail('LINK_UNSAFE', `the link "${path}" of the release ${fault}`, {
      hints: ['whoever published it used no honest tool: do not use it'],
      data: { path, target: links.get(path) },
    })
}

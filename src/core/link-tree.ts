import { linkFault } from './archive-path.ts'

const MAX_HOPS = 40

/**
 * Why each link of a bundle that may not be in it may not, by its path. Beside `linkFault`, which looks at one link,
 * this follows links through other links: `a/b/up -> ..` and `a/b/p -> up/../..` each stay inside, and together leave.
 */
export function linkFaults(links: ReadonlyMap<string, string>): Map<string, string> {
  const faults = new Map<string, string>()
  for (const [path, target] of links) {
    const fault = linkFault(path, target)
    if (fault !== null) faults.set(path, fault)
    else if (followLinks(path, links) === 'outside')
      faults.set(path, 'points outside the bundle by way of another link')
  }
  return faults
}

/** Where `path` leads when every link on the way is followed, as a system would. */
export function followLinks(
  path: string,
  links: ReadonlyMap<string, string>,
): { readonly path: string } | 'outside' | 'loop' {
  const done: string[] = []
  const left = path.split('/').reverse()
  let hops = 0
  while (left.length > 0) {
    const part = left.pop()!
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (done.pop() === undefined) return 'outside'
      continue
    }
    done.push(part)
    const target = links.get(done.join('/'))
    if (target === undefined) continue
    if (target.startsWith('/')) return 'outside'
    if (++hops > MAX_HOPS) return 'loop'
    done.pop()
    for (const next of target.split('/').reverse()) left.push(next)
  }
  return { path: done.join('/') }
}

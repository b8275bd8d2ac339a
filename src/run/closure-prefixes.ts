import type { IndexEntry } from '../../schemas/index.ts'
import type { AppClosure } from '../core/app-closure.ts'
import { PathCover } from '../core/path-cover.ts'
import type { ReleaseSource } from '../core/release-source.ts'

/** Everything a closure needs, read from as little of the index as its patterns allow; in the order of the index. */
export async function closureEntries(
  source: ReleaseSource,
  closure: AppClosure,
  signal?: AbortSignal,
): Promise<IndexEntry[]> {
  const found = new Map<string, IndexEntry>()
  for (const prefix of closurePrefixes(closure)) {
    for await (const entry of prefix === '' ? source.entries() : source.entries(prefix)) {
      signal?.throwIfAborted()
      if (closure.needs(entry)) found.set(entry.path, entry)
    }
  }
  return [...found.values()]
}

/** Paths that together cover what a closure needs; `['']` is the whole index. None lies below another. */
export function closurePrefixes(closure: AppClosure): string[] {
  const expected = closure.app.outputs.flatMap(o => ('expect' in o && o.expect?.path) || [])
  const image = closure.imageFolder === null ? [] : [closure.imageFolder]
  const all = [...closure.app.inputs.include.map(literalStart), ...expected, ...image]
  if (all.includes('')) return ['']
  return new PathCover(all).tops
}

/** The leading parts of a pattern that hold no wildcard. */
function literalStart(pattern: string): string {
  const parts = pattern.split('/').filter(part => part !== '' && part !== '.')
  const wild = parts.findIndex(part => /[*?]/.test(part))
  return (wild < 0 ? parts : parts.slice(0, wild)).join('/')
}

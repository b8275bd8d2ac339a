/**
 * Path patterns of manifests and `--only`: `*` and `?` inside one part, `**` for any number of parts.
 * A pattern that names a folder covers what is below it. Matching is by dynamic programming,
 * so a hostile pattern costs at most pattern length × path length.
 */
export interface PathPattern {
  readonly text: string
  matches(path: string): boolean
}

/**
 * @param anywhere patterns without `/` match at any depth, as `exclude:` wants it; else patterns start at the root.
 */
export function compilePattern(text: string, anywhere = false): PathPattern {
  let pattern = text.replace(/^\.\//, '').replace(/\/+$/, '')
  if (pattern.startsWith('/')) pattern = pattern.slice(1)
  else if (anywhere && !pattern.includes('/')) pattern = `**/${pattern}`
  const parts = pattern.split('/').filter(part => part !== '' && part !== '.')
  const name = parts.length === 2 && parts[0] === '**' ? parts[1]! : '**'
  if (!/[*?]/.test(name)) {
    // The most common kind by far, and every path is held against it.
    const middle = `/${name}/`
    return { text, matches: path => `/${path}/`.includes(middle) }
  }
  return { text, matches: path => matchParts(parts, path.split('/')) }
}

export function compilePatterns(
  texts: readonly string[],
  anywhere = false,
): (path: string) => boolean {
  const patterns = texts.map(text => compilePattern(text, anywhere))
  return path => patterns.some(pattern => pattern.matches(path))
}

/** True when the parts match the whole path or a folder above it. */
function matchParts(pattern: readonly string[], path: readonly string[]): boolean {
  let reachable = new Set([0])
  const closure = (states: Set<number>) => {
    for (const s of states) if (pattern[s] === '**') states.add(s + 1)
    return states
  }
  reachable = closure(reachable)
  if (pattern.length === 0) return true
  for (const part of path) {
    const next = new Set<number>()
    for (const s of reachable) {
      const p = pattern[s]
      if (p === undefined) return true
      if (p === '**') next.add(s)
      else if (matchName(p, part)) next.add(s + 1)
    }
    reachable = closure(next)
    if (reachable.size === 0) return false
  }
  return reachable.has(pattern.length)
}

function matchName(pattern: string, name: string): boolean {
  let p = 0
  let n = 0
  let star = -1
  let mark = 0
  while (n < name.length) {
    if (p < pattern.length && pattern[p] === '*') {
      star = p++
      mark = n
    } else if (p < pattern.length && (pattern[p] === '?' || pattern[p] === name[n])) {
      p++
      n++
    } else if (star >= 0) {
      p = star + 1
      n = ++mark
    } else return false
  }
  while (pattern[p] === '*') p++
  return p === pattern.length
}

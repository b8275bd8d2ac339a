/** Folders and files, and what lies below them. Built and asked in time near linear in the text, whatever strangers name. */
export class PathCover {
  readonly #tops: readonly string[]

  constructor(paths: Iterable<string>) {
    // With a slash at the end, what lies below a path follows it at once: without, "a-b" stands between "a" and "a/b".
    const sorted = [...new Set([...paths].map(path => `${path}/`))].sort()
    const tops: string[] = []
    for (const path of sorted) {
      const last = tops.at(-1)
      if (last === undefined || !path.startsWith(last)) tops.push(path)
    }
    this.#tops = tops
  }

  /** The paths that lie below no other. */
  get tops(): string[] {
    return this.#tops.map(path => path.slice(0, -1))
  }

  /** The top that `path` is or lies below; null when it lies outside of all. */
  over(path: string): string | null {
    const wanted = `${path}/`
    let low = 0
    let high = this.#tops.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#tops[middle]! <= wanted) low = middle + 1
      else high = middle
    }
    const top = this.#tops[low - 1]
    return top !== undefined && wanted.startsWith(top) ? top.slice(0, -1) : null
  }
}

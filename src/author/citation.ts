import type { AuthorManifest } from '../../schemas/index.ts'

export interface CitedRelease {
  readonly key: string
  readonly release: number
  readonly tag?: string | undefined
  /** ISO 8601. */
  readonly date: string
  readonly contentHash: string
}

const MAX_NAMED = 20

/**
 * One line to put into a paper: `Example, A., Other, B. (2026). Title. Release 2 (v1). repro://<key>/2?hash=blake3:…`
 * The link finds the release and pins its content.
 */
export function formatCitation(
  manifest: Pick<AuthorManifest, 'name' | 'title' | 'authors'>,
  release: CitedRelease,
): string {
  const names = (manifest.authors ?? []).map(author => citedName(author.name))
  const people =
    names.length > MAX_NAMED ? `${names.slice(0, MAX_NAMED).join(', ')}, et al.` : names.join(', ')
  const year = release.date.slice(0, 4)
  const version = release.tag === undefined ? '' : ` (${release.tag})`
  const title = (manifest.title ?? manifest.name).trim()
  const link = `repro://${release.key}/${release.release}?hash=${release.contentHash}`
  const who =
    people === ''
      ? `${title} (${year}).`
      : `${people} (${year}). ${title}${/[.!?]$/.test(title) ? '' : '.'}`
  return `${who} Release ${release.release}${version}. ${link}`.replace(/\s+/g, ' ')
}

/** `Ada King Example` as `Example, A. K.`; particles stay with the family name; what is not so built stays whole. */
function citedName(name: string): string {
  const clean = name.trim().replace(/\s+/g, ' ')
  const words = clean.split(' ')
  const given = words.findIndex((word, i) => i > 0 && !/^\p{Lu}/u.test(word))
  const split = given < 0 ? words.length - 1 : given
  const first = words.slice(0, split)
  if (clean.includes(',') || first.length === 0 || !first.every(word => /^\p{Lu}/u.test(word)))
    return clean
  return `${words.slice(split).join(' ')}, ${first.map(word => `${[...word][0]}.`).join(' ')}`
}

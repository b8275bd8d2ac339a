import type { Manifest, ReleaseRecord } from '../../schemas/index.ts'
import { isDigest } from './digest.ts'
import { formatReference } from './reference.ts'
import { escapeControl } from './text.ts'

/** One line that names a release for good: authors, year, title, release, and a link that pins its content. */
export function formatCitation(manifest: Manifest, record: ReleaseRecord): string {
  const authors = joinNames(manifest.authors.map(author => author.name))
  const year = record.date.slice(0, 4)
  const title = (manifest.title ?? manifest.name).replace(/\.$/, '')
  const release =
    record.tag === undefined ? `Release ${record.release}` : `Release ${record.release} (${record.tag})`
  const text = `${authors === '' ? '' : `${authors} `}(${year}). ${title}. ${release}. ${linkTo(record)}`
  return escapeControl(text, false)
}

/** The link that names one release and pins its content hash. */
export function linkTo(record: ReleaseRecord): string {
  return formatReference({
    kind: 'key',
    key: record.key,
    release: record.release,
    ...(isDigest(record.contentHash) ? { hash: record.contentHash } : {}),
  })
}

function joinNames(names: readonly string[]): string {
  if (names.length > 3) return `${names[0]} et al.`
  if (names.length < 2) return names.join('')
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

import type { AuthorManifest } from '../../schemas/index.ts'
import { authorSchema } from '../../schemas/index.ts'
import { listOf, recordOf, textOf } from '../core/manifest-parts.ts'
import { readYaml } from '../core/manifest-yaml.ts'
import { orcidFault } from '../core/orcid.ts'

type Author = NonNullable<AuthorManifest['authors']>[number]

/** What a CITATION.cff says that a manifest wants too. */
export interface CitationFacts {
  readonly title?: string
  readonly description?: string
  readonly authors: readonly Author[]
  readonly license?: string
  readonly keywords: readonly string[]
  readonly cites: readonly string[]
}

/** Reads a CITATION.cff (1.x). Null when it is no YAML mapping; odd fields are passed over. */
export function readCitation(text: string): CitationFacts | null {
  const { value, faults } = readYaml(text)
  if (value === undefined || faults.length > 0) return null
  const cff = recordOf(value)
  if (Object.keys(cff).length === 0) return null
  const preferred = recordOf(cff['preferred-citation'])
  const dois = [preferred, ...listOf(cff['references']).map(recordOf)].flatMap(
    reference => textOf(reference['doi']) ?? [],
  )
  const license = textOf(cff['license']) ?? textOf(listOf(cff['license'])[0])
  return {
    ...text1('title', cff['title']),
    ...text1('description', cff['abstract']),
    authors: listOf(cff['authors']).flatMap(author => readAuthor(recordOf(author)) ?? []),
    ...(license !== undefined && /^[A-Za-z0-9 .+()-]+$/.test(license) ? { license } : {}),
    keywords: listOf(cff['keywords']).flatMap(word => textOf(word) ?? []),
    cites: [...new Set(dois.filter(doi => /^10\.\S+$/.test(doi)).map(doi => `doi:${doi}`))],
  }
}

function readAuthor(author: Readonly<Record<string, unknown>>): Author | null {
  const parts = ['given-names', 'name-particle', 'family-names', 'name-suffix']
  const person = parts.flatMap(part => textOf(author[part])?.trim() || []).join(' ')
  const name = person || textOf(author['name'])?.trim()
  if (!name) return null
  const orcid = textOf(author['orcid'])?.replace(/^https?:\/\/orcid\.org\//, '')
  const built = authorSchema.safeParse({
    name,
    ...(orcid === undefined || orcidFault(orcid) !== null ? {} : { orcid }),
    ...text1('affiliation', author['affiliation']),
  })
  return built.success ? built.data : { name }
}

function text1<K extends string>(
  key: K,
  value: unknown,
): { [P in K]: string } | Record<string, never> {
  const text = textOf(value)?.trim().replace(/\s+/g, ' ')
  return text ? ({ [key]: text } as { [P in K]: string }) : {}
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { authorManifest } from '../../schemas/index.ts'
import { parseManifestFile } from '../../src/core/manifest-file.ts'
import { isRecord } from '../../src/core/manifest-parts.ts'
import { allKeys } from '../../src/core/schema-shape.ts'
import { checkout } from '../helpers/cli.ts'

const text = readFileSync(join(checkout, 'docs/manifest.md'), 'utf8')
const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(match => match[1]!)
const keys = allKeys(authorManifest)

/** Each section, and the first columns of its tables in order. */
const SECTIONS: readonly (readonly [prefix: string, heading: string, table: number])[] = [
  ['', 'Top level', 0],
  ['authors[]', 'authors', 0],
  ['license', 'license', 0],
  ['images.*', 'images', 0],
  ['apps.*', 'apps', 0],
  ['apps.*.params.*', 'params', 0],
  ['apps.*.outputs[]', 'outputs', 0],
  ['apps.*.resources', 'resources', 0],
  ['apps.*.resources.gpu', 'resources', 1],
  ['apps.*.resources.mpi', 'resources', 2],
]

function documented(heading: string, table: number): string[] {
  const section = text.split(/^## /m).find(part => part.startsWith(`${heading}\n`)) ?? ''
  const tables = section.split(/^\|---.*$/m).slice(1)
  return [...(tables[table] ?? '').split('\n\n', 1)[0]!.matchAll(/^\| `(\w+)` \|/gm)].map(
    match => match[1]!,
  )
}

/** The dotted paths of all keys in a value, with `*` for names that authors choose. */
function usedKeys(value: unknown, prefix = ''): string[] {
  if (Array.isArray(value)) return value.flatMap(item => usedKeys(item, `${prefix}[]`))
  if (!isRecord(value)) return []
  return Object.entries(value).flatMap(([key, inner]) => {
    const named = prefix === '' ? key : `${prefix}.${key}`
    const path = keys.includes(named) ? named : `${prefix}.*`
    return [path, ...usedKeys(inner, path)]
  })
}

const withHead = (example: string) =>
  example.startsWith('repro:') ? example : `repro: 1\nname: example\n${example}`

describe('docs/manifest.md', () => {
  it.each(examples.map((example, i) => [i + 1, example] as const))(
    'example %i is valid',
    (_, example) => {
      expect(parseManifestFile(withHead(example), 'docs/manifest.md').manifest.repro).toBe(1)
    },
  )

  it('explains every key, and no other', () => {
    expect(keys.length).toBeGreaterThan(50)
    const explained = SECTIONS.flatMap(([prefix, heading, table]) =>
      documented(heading, table).map(key => (prefix === '' ? key : `${prefix}.${key}`)),
    )
    expect(explained.sort()).toEqual([...keys].sort())
  })

  it('shows every key in an example', () => {
    const shown = new Set(
      examples.flatMap(example =>
        usedKeys(parseManifestFile(withHead(example), 'docs/manifest.md').manifest),
      ),
    )
    expect(keys.filter(key => !shown.has(key))).toEqual([])
  })
})

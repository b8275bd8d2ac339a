import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { adapters } from '../../src/runtime/registry.ts'

const folder = (path: string) => readdirSync(new URL(`../../${path}`, import.meta.url))
const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

describe('the registry of runtimes', () => {
  it('agrees with the folder of adapters, the tests, the golden files and the table in the docs', () => {
    const names = adapters.map(adapter => adapter.name).sort()
    const files = folder('src/runtime/adapters').filter(name => !/-(script|facts)\.ts$/.test(name))
    expect(files.map(name => name.replace('.ts', '')).sort()).toEqual(names)
    expect(
      folder('fixtures/argv')
        .map(name => name.replace('.json', ''))
        .sort(),
    ).toEqual(names)
    for (const name of names) expect(folder('test/runtime')).toContain(`${name}.test.ts`)
    const rows = [...text('docs/runtimes.md').matchAll(/^\| `([a-z]+)` \| ([^|]+) \|/gm)]
    expect(rows.map(row => row[1]).sort()).toEqual(names)
    for (const [, name, fidelity] of rows)
      expect(fidelity!.trim()).toBe(adapters.find(adapter => adapter.name === name)!.fidelity)
  })

  it('is the only file that names adapters', () => {
    const sources = folder('src/runtime').filter(name => name.endsWith('.ts'))
    const naming = sources.filter(name => text(`src/runtime/${name}`).includes("from './adapters/"))
    expect(naming).toEqual(['registry.ts'])
  })
})

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { globalOptions } from '../../cli/global-flags.ts'
import { configFile } from '../../schemas/index.ts'
import { allKeys } from '../../src/core/schema-shape.ts'
import { loadSettings } from '../../src/system/config.ts'
import { parseConfigFile } from '../../src/system/config-file.ts'
import { checkout } from '../helpers/cli.ts'

const read = (path: string) => readFileSync(join(checkout, path), 'utf8')
const page = read('docs/configuration.md')
const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(match => match[1]!)
const firstColumn = (heading: string) =>
  [
    ...page
      .split(/^## /m)
      .find(part => part.startsWith(`${heading}\n`))!
      .matchAll(/^\| `([\w.]+)` \|/gm),
  ].map(match => match[1]!)

describe('docs/configuration.md', () => {
  it('has examples of both files that load, which use every key', () => {
    expect(examples).toHaveLength(2)
    const used = examples.flatMap((example, i) => {
      const { config } = parseConfigFile(example, 'example', i === 0 ? 'home' : 'site')
      return [...Object.keys(config), ...Object.keys(config.network ?? {}).map(k => `network.${k}`)]
    })
    expect([...new Set(used)].sort()).toEqual([...allKeys(configFile)].sort())
  })

  it('explains every key of the files, and no other', () => {
    expect(firstColumn('Files').sort()).toEqual([...allKeys(configFile)].sort())
  })

  it('names every setting with its flag and its variable', async () => {
    const rows = page.split('\n').filter(line => line.startsWith('|'))
    for (const option of globalOptions().filter(one => one.envVar !== undefined)) {
      const row = rows.find(line => line.includes(`\`${option.envVar}\``))
      expect(row, option.envVar).toContain(`\`${option.long}\``)
    }
    const { origins } = await loadSettings({}, { HOME: '/nobody', REPRO_SITE_CONFIG: '/none' })
    for (const name of Object.keys(origins)) expect(page).toContain(`\`${name}\``)
  })

  it('names every variable that is read', () => {
    const sources = [
      'src/system/config.ts',
      'src/system/config-folders.ts',
      'src/system/blake3.ts',
      'src/system/which.ts',
      'src/runtime/adapters/podman-facts.ts',
      'cli/main.ts',
      'cli/render/choose-view.ts',
    ].map(read)
    const names = sources.flatMap(text => [
      ...[...text.matchAll(/env\['([A-Z_0-9]+)'\]/g)].map(m => m[1]!),
      ...[...text.matchAll(/'((?:REPRO|XDG)_[A-Z_]+)'/g)].map(m => m[1]!),
      ...[...text.matchAll(/const \{ ([A-Z, ]+) \} = process\.env/g)].flatMap(m =>
        m[1]!.split(', '),
      ),
    ])
    expect(names.length).toBeGreaterThan(12)
    for (const name of new Set(names)) expect(page, name).toContain(name)
  })
})

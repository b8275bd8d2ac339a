import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { wantsRehash } from '../../cli/rehash.ts'
import { Person, scratch } from '../helpers/cli.ts'

describe('--rehash', () => {
  it.each([
    ['1', true],
    ['Yes', true],
    ['0', false],
    ['', false],
  ])('REPRO_REHASH=%j', (value, wanted) => {
    expect(wantsRehash({}, { REPRO_REHASH: value })).toBe(wanted)
    expect(wantsRehash({ rehash: true }, { REPRO_REHASH: value })).toBe(true)
  })

  it('is refused for what is neither yes nor no', () => {
    expect(() => wantsRehash({}, { REPRO_REHASH: 'maybe' })).toThrow(/REPRO_REHASH is "maybe"/)
  })

  it('reads all files again, for publish and check', async () => {
    const folder = join(scratch(), 'study')
    mkdirSync(folder)
    writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
    const place = scratch()
    const ada = new Person(place)
    const careful = new Person(place, { env: { REPRO_REHASH: '1' } })
    // Stamps are believed when they are a tenth of a second old.
    await new Promise(resolve => setTimeout(resolve, 150))
    await ada.json(['publish', folder])
    const read = async (person: Person, ...more: string[]) => {
      const { records } = await person.json(['publish', folder, ...more])
      return records.find(one => one.action === 'hash' && one.status === 'ok')?.files
    }
    expect(await read(ada)).toBe(0)
    expect(await read(ada, '--rehash')).toBe(1)
    expect(await read(careful)).toBe(1)
    await ada.json(['check', folder, '--rehash'])
  })
})

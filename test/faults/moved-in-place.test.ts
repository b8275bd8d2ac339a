import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Person, scratch } from '../helpers/cli.ts'

it.each([[['--in-place']], [[]]])(
  'a folder that was published in place and moved is whole when it is published again (%j)',
  async flags => {
    const author = new Person(join(scratch(), 'author'))
    const [old, moved] = [join(author.folder, 'old'), join(author.folder, 'new/place')]
    mkdirSync(old)
    const [large, later] = [randomBytes(3 << 20), randomBytes(1 << 20)]
    writeFileSync(join(old, 'repro.yaml'), 'repro: 1\nname: raw\n')
    writeFileSync(join(old, 'large.dat'), large)
    for (let i = 0; i < 5; i++) writeFileSync(join(old, `${i}.dat`), randomBytes(5000))
    const { key } = (await author.json(['publish', old, '--in-place'])).result
    writeFileSync(join(old, 'later.dat'), later)
    await author.json(['publish', old, '--in-place'])
    mkdirSync(join(author.folder, 'new'))
    renameSync(old, moved)

    const lost = await author.repro('verify', key)
    expect(lost.code).toBe(5)
    expect(lost.stdout).toContain('large.dat')
    expect(lost.stdout + lost.stderr).toContain('publish')

    const { result } = await author.json(['publish', moved, ...flags])
    expect(result).toMatchObject({ key, release: 2, published: false })
    for (const release of [1, 2])
      expect((await author.json(['verify', `${key}@${release}`])).result).toMatchObject({
        missing: [],
        changed: [],
      })
    if (flags.length === 0) renameSync(moved, old)
    await author.json(['get', `${key}@2`, 'copy', '--offline'])
    expect(readFileSync(join(author.folder, 'copy/large.dat')).equals(large)).toBe(true)
    expect(readFileSync(join(author.folder, 'copy/later.dat')).equals(later)).toBe(true)
  },
  60_000,
)

import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Person, scratch } from '../helpers/cli.ts'

it('a home with a stock store is published to, verified and fetched from, old releases too', async () => {
  const place = join(scratch(), 'author')
  const before = new Person(place, { env: { REPRO_BLOCK_FILES: 'off' } })
  const folder = join(place, 'study')
  mkdirSync(folder)
  const large = randomBytes(3 << 20)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
  writeFileSync(join(folder, 'large.dat'), large)
  for (let i = 0; i < 30; i++) writeFileSync(join(folder, `${i}.dat`), randomBytes(i * 1000))
  const { key } = (await before.json(['publish', folder])).result
  writeFileSync(join(folder, '1.dat'), 'changed')
  await before.json(['publish', folder])
  expect(existsSync(join(before.home, 'store/blocks'))).toBe(false)

  const now = new Person(place)
  expect((await now.json(['publish', folder])).result).toMatchObject({ published: false })
  writeFileSync(join(folder, 'new.dat'), randomBytes(1 << 20))
  const { result } = await now.json(['publish', folder])
  expect(result).toMatchObject({ release: 3, storedFiles: 1 })
  for (const release of [1, 2, 3])
    expect((await now.json(['verify', `${key}@${release}`])).result).toMatchObject({
      missing: [],
      changed: [],
    })
  await now.json(['get', `${key}@1`, 'copy'])
  expect(readFileSync(join(place, 'copy/large.dat')).equals(large)).toBe(true)
  expect(existsSync(join(now.home, 'store/blocks/1.blk'))).toBe(true)
}, 60_000)

it('a home does not grow by publishing what is published', async () => {
  const author = new Person(join(scratch(), 'author'))
  const folder = join(author.folder, 'study')
  mkdirSync(folder)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
  writeFileSync(join(folder, 'a.dat'), randomBytes(100_000))
  const bytes = () =>
    readdirSync(author.home, { recursive: true, withFileTypes: true })
      .filter(one => one.isFile())
      .reduce((sum, one) => sum + statSync(join(one.parentPath ?? one.path, one.name)).size, 0)
  for (let i = 0; i < 3; i++) await author.json(['publish', folder])
  const before = bytes()
  for (let i = 0; i < 3; i++) await author.json(['publish', folder])
  expect(bytes()).toBeLessThan(before + 10_000)
}, 60_000)

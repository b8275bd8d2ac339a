import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Person, scratch, share } from '../helpers/cli.ts'

it('verify says how much of a release is here by choice, and --whole refuses a part', async () => {
  const author = new Person(join(scratch(), 'author'))
  const folder = join(author.folder, 'study')
  mkdirSync(folder)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
  for (const name of ['a', 'b', 'c']) writeFileSync(join(folder, `${name}.txt`), name)
  const { key } = (await author.json(['publish', folder])).result as { key: string }
  const { peer } = await share(author)
  const reader = new Person(join(scratch(), 'reader'), { env: { REPRO_PEERS: peer } })
  await reader.json(['get', key, 'copy'])
  expect((await reader.json(['verify', './copy', '--whole'])).result).toMatchObject({
    files: 4,
    releaseFiles: 4,
    partial: false,
  })

  // Nobody signs what was selected: who can write to the folder can say that less was wanted.
  const state = join(reader.folder, 'copy/.repro/checkout.json')
  const noted = JSON.parse(readFileSync(state, 'utf8'))
  writeFileSync(state, JSON.stringify({ ...noted, partial: true, selected: ['repro.yaml'] }))
  rmSync(join(reader.folder, 'copy/a.txt'))
  rmSync(join(reader.folder, 'copy/b.txt'))
  const told = await reader.repro('verify', './copy')
  expect(told.code).toBe(0)
  expect(told.stdout).toMatch(/verified 2 of 4 files.*by choice/)
  const refused = await reader.json(['verify', './copy', '--whole'], 3)
  expect(refused.result).toMatchObject({ files: 2, releaseFiles: 4, partial: true })
}, 60_000)

import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { randomBytesOf } from '../../bench/lib/seeded.ts'
import { Person, scratch, share } from '../helpers/cli.ts'
import { killAt } from './kill.ts'
import { treeOf } from './world.ts'

const MIB = 1 << 20

it.each([
  { n: 1, runOnMs: 0 },
  { n: 1, runOnMs: 4 },
  { n: 2, runOnMs: 8 },
])(
  'a checkout killed while threads write its files is finished by the next (entry $n, $runOnMs ms on)',
  async plan => {
    const next = randomBytesOf('place')
    const author = new Person(join(scratch(), 'author'))
    const study = join(author.folder, 'study')
    mkdirSync(study)
    writeFileSync(join(study, 'repro.yaml'), 'repro: 1\nname: study\n')
    for (let i = 0; i < 600; i++) writeFileSync(join(study, `${i}.bin`), next(9000))
    writeFileSync(join(study, 'large.bin'), next(20 * MIB))
    const { key } = (await author.json(['publish', study])).result
    const { peer, stop } = await share(author)
    const reader = new Person(join(scratch(), 'reader'))
    const args = ['get', key, 'copy', '--peer', peer]
    const killed = await killAt(reader, args, { phase: 'place', ...plan })
    expect(['place', 'note']).toContain(killed.phase)
    await reader.json(args)
    await stop()
    const copy = join(reader.folder, 'copy')
    expect(treeOf(copy)).toEqual(treeOf(study))
    expect(readdirSync(copy).filter(name => name.endsWith('.tmp'))).toEqual([])
  },
  60_000,
)

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Person, scratch, share } from '../helpers/cli.ts'
import { killAt } from './kill.ts'

const MB = 1_000_000
const bytes = randomBytes(6 * MB)

/** An author who shares, and a reader who has all of it, and nobody to ask unless told. */
async function fetched() {
  const author = new Person(join(scratch(), 'author'))
  const folder = join(author.folder, 'study')
  mkdirSync(folder)
  writeFileSync(join(folder, 'repro.yaml'), 'repro: 1\nname: study\n')
  writeFileSync(join(folder, 'a.dat'), bytes)
  const { key } = (await author.json(['publish', folder])).result
  const { peer, stop } = await share(author)
  const reader = new Person(join(scratch(), 'reader'))
  await reader.json(['get', key, 'copy', '--peer', peer])
  return { author, reader, key: key as string, peer, stop }
}

function damage(home: string): void {
  const file = join(home, 'store/blocks/1.blk')
  const content = readFileSync(file)
  for (const at of [MB, 3 * MB, 5 * MB]) {
    const place = content.indexOf(bytes.subarray(at, at + 64))
    expect(place).toBeGreaterThan(0)
    content[place] = content[place]! ^ 1
  }
  writeFileSync(file, content)
}

it.each([1, 2, 3])(
  'a repair that is killed (entry %i) is finished by the next, and gives nothing up',
  async n => {
    const { reader, key, peer } = await fetched()
    damage(reader.home)
    const args = ['verify', key, '--repair', '--peer', peer]
    const killed = await killAt(reader, args, { phase: 'repair', n, runOnMs: 0 })
    expect(killed.phase).toBe('repair')
    const { result } = await reader.json(args)
    expect(result).toMatchObject({ changed: [], missing: [] })
    expect(existsSync(join(reader.home, 'repairs', `${key}.json`))).toBe(false)
    expect((await reader.json(['verify', key])).result).toMatchObject({ changed: [], missing: [] })
  },
  60_000,
)

it.each(['clear', 'compact'])(
  'a removal that is killed (%s) leaves no key that could write a second history, and is finished by the next',
  async phase => {
    const { author, key, stop } = await fetched()
    await stop()
    const args = ['rm', key, '--yes']
    const killed = await killAt(author, args, { phase, n: 1, runOnMs: 0 })
    expect(killed.phase).toBe(phase)
    const publish = await author.repro('publish', 'study', '--wait', '1s', '--json')
    expect(publish.stdout).toMatch(/SYNC_NEEDED|"published":false/)
    await author.json(args)
    const disk = execFileSync('du', ['-s', '--block-size=1', author.home], { encoding: 'utf8' })
    expect(Number(disk.split('\t')[0])).toBeLessThan(2 * MB)
  },
  60_000,
)

it.each([1, 2])(
  'a store that is made anew is swapped whole, whenever that is killed (entry %i)',
  async n => {
    const { reader, key, peer } = await fetched()
    const args = ['repair', 'store', '--peer', peer]
    const killed = await killAt(reader, args, { phase: 'repair', n, runOnMs: 0 })
    expect(killed.phase).toBe('repair')
    expect(existsSync(join(reader.home, 'store'))).toBe(n === 1)
    expect((await reader.json(['verify', key])).result).toMatchObject({ changed: [], missing: [] })
    expect(existsSync(join(reader.home, 'repair-store'))).toBe(n === 1)
    if (n === 1) await reader.json(args)
    const names = readdirSync(reader.home).filter(name => name.startsWith('store'))
    expect(names.sort()).toEqual(['store', 'store.damaged-1'])
    expect((await reader.json(['verify', key])).result).toMatchObject({ changed: [], missing: [] })
  },
  60_000,
)

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { searchHeads } from '../../src/system/head-search.ts'
import { scratch } from '../helpers/cli.ts'

/** So many files; those with the number in `texts` hold that. */
function filesOf(count: number, texts: Readonly<Record<number, string | Buffer>>): string[] {
  const folder = scratch()
  return Array.from({ length: count }, (_, i) => {
    const path = join(folder, String(i))
    writeFileSync(path, texts[i] ?? 'nothing\n')
    return path
  })
}

const MIB = 1 << 20
const texts = {
  1: 'here: needle\n',
  2: `${'x'.repeat(10_000)}\nneedle`,
  3: Buffer.from('needle\0'),
  4: `${'x'.repeat(MIB - 6)}needle`,
  5: `${'x'.repeat(MIB - 5)}needle`,
  6: Buffer.concat([Buffer.alloc(8192, 'x'), Buffer.from('\0needle')]),
  7: '',
}

describe('searchHeads', () => {
  it.each([
    ['a few files', 10],
    ['many files, in threads', 1500],
  ])('finds a form in the first MiB of text: %s', async (_, count) => {
    const paths = filesOf(count, { ...texts, [count - 1]: 'needle' })
    expect(await searchHeads(paths, /^.*needle$/m)).toEqual([1, 2, 4, 6, count - 1])
  })

  it('finds nothing in what cannot be read', async () => {
    const folder = scratch()
    mkdirSync(join(folder, 'd'))
    writeFileSync(join(folder, 'f'), 'needle')
    symlinkSync('f', join(folder, 'l'))
    const paths = ['d', 'f', 'l', 'gone'].map(name => join(folder, name))
    expect(await searchHeads(paths, /needle/)).toEqual([1])
  })

  it('stops when asked to', async () => {
    const paths = filesOf(1100, {})
    await expect(searchHeads(paths, /x/, AbortSignal.abort())).rejects.toThrow(/abort/i)
  })
})

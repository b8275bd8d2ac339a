import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { searchHeads } from '../../src/system/head-search.ts'
import { createQuadScan, type Quad } from '../../src/system/quad-scan.mjs'
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
    for (const quads of [[], [['n', 'aeiou', 'e', 'd']], [['e', 'd', 'l', 'e']]] as const)
      expect(await searchHeads(paths, { form: /^.*needle$/m, quads })).toEqual([
        1,
        2,
        4,
        6,
        count - 1,
      ])
  })

  it('finds nothing in what cannot be read', async () => {
    const folder = scratch()
    mkdirSync(join(folder, 'd'))
    writeFileSync(join(folder, 'f'), 'needle')
    symlinkSync('f', join(folder, 'l'))
    const paths = ['d', 'f', 'l', 'gone'].map(name => join(folder, name))
    expect(await searchHeads(paths, { form: /needle/, quads: [['n', 'e', 'e', 'd']] })).toEqual([1])
  })

  it('stops when asked to', async () => {
    const paths = filesOf(1100, {})
    await expect(searchHeads(paths, { form: /x/, quads: [] }, AbortSignal.abort())).rejects.toThrow(
      /abort/i,
    )
  })
})

describe('createQuadScan', () => {
  it('misses nothing, at any place, and passes most of what has none', () => {
    const quads: Quad[] = Array.from({ length: 13 }, (_, i) => {
      const [a, b] = [String.fromCharCode(65 + i), String.fromCharCode(128 + 9 * i)]
      return [a, `${b}\xff`, '-', '0123456789']
    })
    const scan = createQuadScan(quads, 4096)!
    const hit = (text: string, length = text.length) => {
      scan.bytes.write(text, 'latin1')
      return scan.mayHold(length)
    }
    for (const [i, [a, b]] of quads.entries())
      for (let at = 0; at < 70; at++) {
        const rest = '.'.repeat((7 * i) % 33)
        expect(hit(`${'.'.repeat(at)}${a}${b[i % 2]}-${i % 10}${rest}`)).toBe(true)
      }
    expect(hit('.'.repeat(4096))).toBe(false)
    expect(hit(`${'.'.repeat(4092)}A\xff-7`)).toBe(true)
    expect(hit('A\xff-7'.padEnd(200, '.'), 3)).toBe(false)
    const words = 'it was a bright cold day in april, and the clocks were striking 13 '
    expect(hit(words.repeat(60))).toBe(false)
  })
})

import { expect, test } from 'vitest'
import { type FindBlocks, placesOf } from '../../src/archive/block-places.ts'
import { all } from './helpers.ts'

const block = Buffer.alloc(4095)

/** A core of one small block at each place, that counts how many were asked for. */
function smallBlocks() {
  let asked = 0
  const find: FindBlocks = async indexes => {
    asked += indexes.length
    return indexes.map(index => ({ block: index, length: 4095, blake3: null, bytes: block }))
  }
  return { find, asked: () => asked }
}

const fileOf = (path: string, size: number) =>
  ({ path, type: 'file', size, blake3: '0'.repeat(64) }) as const

test('a file of one small block again and again is not laid out in memory', async () => {
  const { find, asked } = smallBlocks()
  const runs = Array.from({ length: 500_000 }, () => ({ start: 7, end: 8 }))
  const bomb = { file: fileOf('bomb', 500_000 * 4095), runs }
  const tail = { file: fileOf('file', 4095), runs: [{ start: 9, end: 10 }] }
  const places = (await all(placesOf([bomb, tail], find))).flat()
  expect(places.map(one => [one.file.path, one.extents?.length ?? null])).toEqual([
    ['bomb', null],
    ['file', 1],
  ])
  expect(asked()).toBeLessThan(10_000)
})

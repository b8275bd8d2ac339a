import { expect, it } from 'vitest'
import { describeOutput } from '../../cli/render/verdict.ts'
import { excerpt } from '../../src/run/compare/difference.ts'

it('says each figure of a comparison once', () => {
  const message = '2 cells differ within the tolerance; largest difference 0.000500 absolute'
  const figures = { size: 10, differences: 0, maxAbsolute: 0.0005, maxRelative: 0.1 }
  const common = {
    path: 'a.tsv',
    compare: 'table',
    blake3: null,
    expected: null,
    ...figures,
  } as const
  expect(describeOutput({ ...common, status: 'within tolerance', message })).toBe(
    `within tolerance: ${message}`,
  )
  const at = { line: 3, expected: '4', found: '5' }
  expect(describeOutput({ ...common, differences: 2, status: 'differs', at })).toBe(
    'differs: line 3: expected "4", found "5" (2 differences, largest relative 0.100, largest absolute 0.000500)',
  )
})

it('shows white space in an excerpt as people write it, and other control characters in hex', () => {
  expect(excerpt('gene\t1\r\nx\x1b[2J')).toBe('gene\\t1\\r\\nx\\x1b[2J')
})

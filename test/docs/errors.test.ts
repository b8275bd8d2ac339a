import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ERROR_CODES } from '../../src/core/errors.ts'
import { ExitCode } from '../../src/core/exit-codes.ts'
import { checkout } from '../helpers/cli.ts'

const page = readFileSync(join(checkout, 'docs/errors.md'), 'utf8')

describe('docs/errors.md', () => {
  it('has a row for each error code, with its exit code, and no other', () => {
    const rows = [...page.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| \S.* \| \S.* \|$/gm)]
    expect(Object.fromEntries(rows.map(([, code, exit]) => [code, Number(exit)]))).toEqual(
      ERROR_CODES,
    )
    expect(rows).toHaveLength(Object.keys(ERROR_CODES).length)
  })

  it('has a row for each exit code', () => {
    const rows = [...page.matchAll(/^\| (\d+) \| \S.* \|$/gm)].map(([, code]) => Number(code))
    expect(rows).toEqual(Object.values(ExitCode))
  })
})

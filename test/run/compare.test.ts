import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type OutputResult, outputResult, type ResolvedOutput } from '../../schemas/index.ts'
import { compareCells, parseNumber, splitCells } from '../../src/run/compare/cells.ts'
import { expectationNote, verdictOf } from '../../src/run/compare/verdict.ts'
import { compareOutput } from '../../src/run/compare.ts'
import { blake3 } from '../../src/system/blake3.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'repro-compare-'))
  mkdirSync(join(folder, 'out'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

type Rule = { compare: 'exact' | 'text' | 'table' | 'exists' } & Record<string, unknown>

async function compare(rule: Rule, expected: string | Buffer | null, found?: string | Buffer) {
  const bytes = expected === null ? null : Buffer.from(expected)
  const hash = bytes && blake3(bytes)
  if (bytes) writeFileSync(join(folder, 'expected'), bytes)
  if (found !== undefined) writeFileSync(join(folder, 'out', 'x'), found)
  const defaults =
    rule.compare === 'table'
      ? { rtol: 0, atol: 0, ignore: [] }
      : rule.compare === 'text'
        ? { ignore: [] }
        : {}
  const output = {
    path: 'x',
    ...defaults,
    ...rule,
    ...(hash ? { expect: { blake3: hash, size: bytes!.length } } : {}),
  } as ResolvedOutput
  const result = await compareOutput(output, {
    out: join(folder, 'out'),
    locate: () => join(folder, 'expected'),
  })
  return outputResult.parse(result)
}

test('exact: says the first byte and line, how many bytes differ, and both sizes', async () => {
  expect((await compare({ compare: 'exact' }, 'a\nb\n', 'a\nb\n')).status).toBe('equal')
  const result = await compare({ compare: 'exact' }, 'one\ntwo\nthree\n', 'one\ntwX\nthree\nfour\n')
  expect(result).toMatchObject({ status: 'differs', differences: 6, at: { byte: 6, line: 2 } })
  expect(result.message).toContain('19 bytes where 14 were expected')
  const shorter = await compare({ compare: 'exact' }, 'abc', 'ab')
  expect(shorter).toMatchObject({ at: { byte: 2 }, differences: 1 })
  expect(shorter.message).toContain('found the end of the file')
  const binary = await compare({ compare: 'exact' }, Buffer.from([0, 1]), Buffer.from([0, 2]))
  expect(binary.message).toContain('expected 0x01, found 0x02')
})

test('exact: differences across the borders of what is read at once are found', async () => {
  const big = Buffer.alloc(3 << 20, 'abcdefgh\n')
  const other = Buffer.from(big)
  other[(2 << 20) + 5] = 1
  const result = await compare({ compare: 'exact' }, big, other)
  expect(result).toMatchObject({ differences: 1, at: { byte: (2 << 20) + 5 } })
  expect(result.at!.line).toBe(big.subarray(0, (2 << 20) + 5).filter(b => b === 10).length + 1)
})

test('a hash alone is enough to say equal or not, but not where', async () => {
  const output: ResolvedOutput = { path: 'x', compare: 'exact', expect: { blake3: blake3('yes') } }
  const options = { out: join(folder, 'out'), locate: () => null }
  writeFileSync(join(folder, 'out', 'x'), 'yes')
  expect((await compareOutput(output, options)).status).toBe('equal')
  writeFileSync(join(folder, 'out', 'x'), 'no')
  const result = await compareOutput(output, options)
  expect(result.status).toBe('differs')
  expect(result.message).toContain('not in the bundle')
})

test('text: ignored lines may differ, come and go on either side', async () => {
  const rule: Rule = { compare: 'text', ignore: ['^@PG', 'date:'] }
  expect((await compare(rule, '@PG a\nx\ny\n', '@PG b\nx\ndate: 1\ny\ndate: 2\n')).status).toBe(
    'equal',
  )
  const result = await compare(rule, '@PG a\nx\ny\n', 'x\n@PG\nz\n')
  expect(result).toMatchObject({
    status: 'differs',
    differences: 1,
    at: { line: 3, column: 1, expected: 'y', found: 'z' },
  })
})

test.each([
  [
    'a CRLF is a difference',
    'a\nb\n',
    'a\r\nb\r\n',
    2,
    'expected LF at the end of the line, found CRLF',
  ],
  ['a missing last line feed is a difference', 'a\nb\n', 'a\nb', 1, 'found no line feed'],
  ['a missing line', 'a\nb\n', 'a\n', 1, 'ends where line 2 was expected: "b"'],
  ['a line too many', 'a\n', 'a\nb\n', 1, 'line 2 is more than was expected: found "b"'],
  ['a column counts characters', 'xé1\n', 'xè1\n', 1, 'line 1, column 2'],
  ['terminal escapes are shown, not sent', 'a\n', '\u001b[31ma\n', 1, '\\x1b[31ma'],
])('text: %s', async (_, expected, found, differences, message) => {
  const result = await compare({ compare: 'text' }, expected, found)
  expect(result).toMatchObject({ status: 'differs', differences })
  expect(result.message).toContain(message)
  expect(result.message).not.toMatch(/\u001b/)
})

test('text: where a pattern stops to look is not the end of a line', async () => {
  const [one, two] = [`${'a'.repeat(9000)}1\n`, `${'a'.repeat(9000)}2\n`]
  expect((await compare({ compare: 'text', ignore: ['^a+$'] }, one, two)).status).toBe('differs')
  expect((await compare({ compare: 'text', ignore: ['^a.*$'] }, one, two)).status).toBe('equal')
})

test('text: a line longer than what is held at once is still one line', async () => {
  const long = 'x'.repeat(5 << 20)
  const rule: Rule = { compare: 'text', ignore: ['^skip'] }
  const same = await compare(rule, `skip ${long}1\n${long}\nend\n`, `skip ${long}2\n${long}\nend\n`)
  expect(same.status).toBe('equal')
  const result = await compare(rule, `${long}a\nend\n`, `${long}b\nend\n`)
  expect(result).toMatchObject({ status: 'differs', differences: 1, at: { line: 1 } })
})

test.each(['(a+)+$', '(a|aa)+$', '(.*)*x', '((a{1,15}){1,15})+$'])(
  'text: the hostile pattern %s ends at once',
  async pattern => {
    const line = `${'a'.repeat(200_000)}!\n`
    const started = Date.now()
    await compare({ compare: 'text', ignore: [pattern] }, line.repeat(3), line.repeat(2))
    expect(Date.now() - started).toBeLessThan(5000)
  },
)

test.each(['(\\pL{0,1000}\\pN)', '^(([a-z]?){30}){30}$', '((a{1,30}){1,30})+$'])(
  'the pattern %s is refused: its size is what each character of a line costs',
  async pattern => {
    await expect(
      compare({ compare: 'text', ignore: [pattern] }, 'a\n', 'b\n'),
    ).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining('it is too large'),
    })
  },
)

describe('patterns that take long', () => {
  const ignore = Array.from({ length: 50 }, (_, i) => `(\\pL{0,${400 + i}}\\pN)`)
  const text = Array.from({ length: 3000 }, (_, i) => `${'aé'.repeat(2000)} ${i}\n`).join('')

  test.each(['text', 'table'] as const)('%s: end with their time, and say so', async rule => {
    const more = rule === 'table' ? { rtol: 0, atol: 0 } : {}
    const output = { path: 'x', compare: rule, ignore, ...more, expect: { blake3: blake3('b') } }
    writeFileSync(join(folder, 'expected'), text)
    writeFileSync(join(folder, 'out', 'x'), `b${text}`)
    const result = await compareOutput(output as ResolvedOutput, {
      out: join(folder, 'out'),
      locate: () => join(folder, 'expected'),
      patternBudgetMs: 300,
    })
    expect(result.status).toBe('differs')
    expect(result.message).toContain('its ignore patterns took longer than 0.3 s')
  })

  test('end when they are interrupted', async () => {
    writeFileSync(join(folder, 'expected'), text)
    writeFileSync(join(folder, 'out', 'x'), `b${text}`)
    const controller = new AbortController()
    setTimeout(() => controller.abort(new Error('stop')), 100)
    const output = { path: 'x', compare: 'text', ignore, expect: { blake3: blake3('b') } }
    const began = Date.now()
    const work = compareOutput(output as ResolvedOutput, {
      out: join(folder, 'out'),
      locate: () => join(folder, 'expected'),
      signal: controller.signal,
    })
    await expect(work).rejects.toThrow('stop')
    expect(Date.now() - began).toBeLessThan(5000)
  })
})

test('a pattern that no linear engine can run is refused by name', async () => {
  await expect(compare({ compare: 'text', ignore: ['(?=a)'] }, 'a\n', 'b\n')).rejects.toMatchObject(
    {
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining('(?=a)'),
    },
  )
})

test('table: cells within rtol and atol pass, and the largest difference is told', async () => {
  const rule: Rule = { compare: 'table', rtol: 1e-3, atol: 0 }
  const table = 'name\tvalue\na\t1.000\nb\t2\n'
  const near = await compare(rule, table, 'name\tvalue\na\t1.0005\nb\t2.0\n')
  expect(near).toMatchObject({ status: 'within tolerance', differences: 0 })
  expect(near.maxAbsolute).toBeCloseTo(5e-4, 10)
  const far = await compare(rule, table, 'name\tvalue\na\t1.0005\nb\t3\n')
  expect(far).toMatchObject({
    status: 'differs',
    differences: 1,
    maxAbsolute: 1,
    maxRelative: 0.5,
    at: { line: 3, column: 2, expected: '2', found: '3' },
  })
  expect(far.message).toContain('column 2 ("value")')
})

test.each([
  ['numbers written otherwise', 'x,1.0,1e3\n', 'x,1,1000\n', 'equal'],
  ['NaN equals NaN', 'nan 1\n', 'NaN 1\n', 'equal'],
  ['NaN is no number', 'nan 1\n', '2 1\n', 'differs'],
  ['an infinity is only itself', 'inf\n', '-inf\n', 'differs'],
  ['text differs', 'a\tb\n', 'a\tc\n', 'differs'],
  ['white space does not count', 'a   1\n b 2\n', 'a 1\nb 2\n', 'equal'],
  ['CRLF does not count', 'a,1\nb,2\n', 'a,1\r\nb,2\r\n', 'equal'],
  ['quoted cells', '"a,b",1\n', '"a,b",1.0\n', 'equal'],
  ['integers beyond doubles', '9007199254740993\n', '9007199254740992\n', 'differs'],
])('table: %s', async (_, expected, found, status) => {
  expect((await compare({ compare: 'table' }, expected, found)).status).toBe(status)
})

test('table: ragged and missing rows are told', async () => {
  const ragged = await compare({ compare: 'table' }, 'a,b\n1,2\n', 'a,b\n1,2,3\n')
  expect(ragged.message).toContain('line 2 has 3 cells where 2 were expected')
  const missing = await compare({ compare: 'table' }, 'a,b\n1,2\n3,4\n', 'a,b\n1,2\n')
  expect(missing).toMatchObject({ status: 'differs', differences: 1 })
  expect(missing.message).toContain('ends where line 3 was expected: "3,4"')
})

test('property: a table equals itself, and cells follow numpy’s rule', async () => {
  const cell = fc.oneof(
    fc.double().map(String),
    fc.integer().map(String),
    fc.constantFrom('a', 'NaN'),
  )
  await fc.assert(
    fc.property(cell, cell, fc.double({ min: 0, max: 1, noNaN: true }), (a, b, rtol) => {
      expect(compareCells(a, a, rtol, 0)).toBeNull()
      const [x, y] = [parseNumber(a), parseNumber(b)]
      if (x === null || y === null || !Number.isFinite(x) || !Number.isFinite(y)) return
      const within = Math.abs(x - y) <= rtol * Math.abs(y)
      expect(compareCells(a, b, rtol, 0)?.within ?? true).toBe(within || x === y)
    }),
  )
})

test('property: quoting a cell as RFC 4180 says and splitting gives it back', () => {
  const quote = (cell: string) => `"${cell.replaceAll('"', '""')}"`
  const cells = fc.array(
    fc.string().map(s => s.trim()),
    { minLength: 1 },
  )
  fc.assert(
    fc.property(cells, row => {
      expect(splitCells(row.map(quote).join(','), ',')).toEqual(row)
    }),
  )
})

test('property: text says equal exactly when the bytes are', async () => {
  const text = fc.array(fc.constantFrom('a', 'b', '\n', '\r\n')).map(parts => parts.join(''))
  await fc.assert(
    fc.asyncProperty(text, text, async (a, b) => {
      const result = await compare({ compare: 'text' }, a, b)
      expect(result.status).toBe(a === b ? 'equal' : 'differs')
    }),
    { numRuns: 60 },
  )
})

test('links, folders, pipes and files that grew without end are not what was expected', async () => {
  const out = join(folder, 'out')
  const rule: Rule = { compare: 'exact' }
  expect(await compare(rule, 'x')).toMatchObject({ status: 'missing' })
  symlinkSync('/etc/hostname', join(out, 'x'))
  expect(await compare(rule, 'x')).toMatchObject({ status: 'unexpected type', blake3: null })
  rmSync(join(out, 'x'))
  mkdirSync(join(out, 'x'))
  expect(await compare(rule, 'x')).toMatchObject({ status: 'unexpected type' })
  expect(await compare({ compare: 'exists' }, null)).toMatchObject({ status: 'equal' })
  rmSync(join(out, 'x'), { recursive: true })
  spawnSync('mkfifo', [join(out, 'x')])
  expect((await compare(rule, 'x')).message).toContain('a named pipe')
  rmSync(join(out, 'x'))
  writeFileSync(join(out, 'x'), '')
  truncateSync(join(out, 'x'), 2 ** 41)
  expect((await compare(rule, 'x')).message).toContain('2.2 TB')
})

test('a linked folder on the way to an output is not followed', async () => {
  mkdirSync(join(folder, 'secret'))
  writeFileSync(join(folder, 'secret', 'key'), 'secret')
  symlinkSync('../secret', join(folder, 'out', 'sub'))
  const result = await compareOutput(
    { path: 'sub/key', compare: 'exists' },
    { out: join(folder, 'out'), locate: () => null },
  )
  expect(result).toMatchObject({ status: 'unexpected type', blake3: null })
  expect(result.message).toContain('"sub" is a link')
})

const hash = 'a'.repeat(64)

/** An output by its status; `only there` is one of `compare: exists`, `not written` an optional one. */
function outputOf(word: OutputResult['status'] | 'only there' | 'not written', n = 0) {
  const output = { path: `o${n}`, compare: 'text', blake3: hash, expected: hash } as const
  if (word === 'only there')
    return { ...output, compare: 'exists', expected: null, status: 'equal' } as const
  if (word === 'not written')
    return { ...output, blake3: null, expected: null, status: 'not compared' } as const
  return { ...output, status: word, ...(word === 'not compared' ? { expected: null } : {}) }
}

test('the note names the outputs without expectation, and what to type', () => {
  expect(expectationNote([outputOf('equal'), outputOf('only there')])).toBeNull()
  const two = [outputOf('not compared', 1), outputOf('equal', 2), outputOf('not compared', 3)]
  expect(expectationNote(two)).toBe(
    'no expectation is recorded for "o1", "o3": the author records one with repro run . --record',
  )
  const many = Array.from({ length: 7 }, (_, n) => outputOf('not compared', n))
  expect(expectationNote(many)).toContain('"o4" and 2 more outputs:')
})

test.each([
  ['completed', ['equal', 'equal'], false, 'reproduced'],
  ['completed', ['equal', 'within tolerance'], false, 'within tolerance'],
  ['completed', ['within tolerance', 'missing'], false, 'differs'],
  ['completed', ['equal', 'unexpected type'], false, 'differs'],
  ['exit code', ['equal'], false, 'failed'],
  ['timeout', [], false, 'failed'],
  ['completed', [], false, 'nothing declared'],
  ['completed', ['not compared'], false, 'nothing declared'],
  ['completed', ['equal', 'not compared'], false, 'nothing declared'],
  ['completed', ['equal', 'not written'], false, 'reproduced'],
  ['completed', ['equal', 'only there'], false, 'reproduced'],
  ['completed', ['only there'], false, 'reproduced'],
  ['completed', ['within tolerance', 'not compared'], false, 'nothing declared'],
  ['completed', ['differs', 'not compared'], false, 'differs'],
  ['exit code', ['equal', 'not compared'], false, 'failed'],
  ['completed', ['not compared'], true, 'nothing declared'],
  ['exit code', ['not compared'], true, 'failed'],
] as const)('verdict: %s with %j (own data: %s) is %s', (outcome, statuses, ownData, verdict) => {
  expect(verdictOf(outcome, statuses.map(outputOf), ownData)).toBe(verdict)
})

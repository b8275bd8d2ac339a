import type { FileHandle } from 'node:fs/promises'
import { count } from '../../core/text.ts'
import { compareCells, type Delimiter, guessDelimiter, parseNumber, splitCells } from './cells.ts'
import { type Difference, EQUAL, excerpt } from './difference.ts'
import type { Ignored } from './ignored-lines.ts'
import { FilteredLines, type Line, LineReader } from './line-reader.ts'

const LINE_BYTES = 64 << 20

export interface TableOptions {
  readonly rtol: number
  readonly atol: number
  readonly delimiter?: string
  readonly ignored: Ignored
}

/**
 * Compares two tables cell by cell; see `compareCells` for the rule. White space around cells and CRLF
 * do not count, empty lines do not either; rows of other lengths and missing rows are differences.
 */
export async function compareTable(
  found: FileHandle,
  expected: FileHandle,
  options: TableOptions,
  signal?: AbortSignal,
): Promise<Difference> {
  const skip = (line: Line) => isBlank(line.bytes) || options.ignored(line)
  const left = new FilteredLines(new LineReader(found, LINE_BYTES, signal), skip)
  const right = new FilteredLines(new LineReader(expected, LINE_BYTES, signal), skip)
  const tally = new Tally(options.rtol, options.atol)
  let delimiter = options.delimiter as Delimiter | undefined
  for (;;) {
    const a = await left.counted(await left.next())
    const b = await right.counted(await right.next())
    if (!a && !b) break
    if (a?.more || b?.more) return tooLong((a?.more ? a : b)!)
    if (!a || !b) {
      tally.row(a, b)
      continue
    }
    if (delimiter !== undefined && tally.hasHeader && a.bytes.equals(b.bytes)) continue
    const textB = b.bytes.toString('utf8')
    delimiter ??= guessDelimiter(textB)
    tally.cells(a, splitCells(a.bytes.toString('utf8'), delimiter), splitCells(textB, delimiter))
  }
  return tally.result()
}

class Tally {
  readonly #rtol: number
  readonly #atol: number
  #header: readonly string[] | null = null
  #first: Pick<Difference, 'message' | 'at'> | null = null
  #differences = 0
  #within = 0
  #rows = 0
  #maxAbsolute = 0
  #maxRelative = 0

  constructor(rtol: number, atol: number) {
    this.#rtol = rtol
    this.#atol = atol
  }

  get hasHeader(): boolean {
    return this.#header !== null
  }

  row(found: Line | null, expected: Line | null): void {
    this.#rows++
    const line = (found ?? expected)!
    const text = excerpt(line.bytes.toString('utf8'))
    this.#first ??= {
      message: found
        ? `line ${line.number} is more than was expected: "${text}"`
        : `ends where line ${line.number} was expected: "${text}"`,
      at: { line: line.number, ...(found ? { found: text } : { expected: text }) },
    }
  }

  cells(line: Line, found: readonly string[], expected: readonly string[]): void {
    // The first row names the columns when nothing in it is a number.
    this.#header ??= expected.some(cell => parseNumber(cell) !== null) ? [] : expected
    if (found.length !== expected.length) {
      this.#rows++
      this.#first ??= {
        message: `line ${line.number} has ${count('cell', found.length)} where ${expected.length} were expected`,
        at: {
          line: line.number,
          found: String(found.length),
          expected: String(expected.length),
        },
      }
      return
    }
    for (const [i, want] of expected.entries()) this.#cell(line.number, i, found[i]!, want)
  }

  #cell(line: number, index: number, found: string, expected: string): void {
    const difference = compareCells(found, expected, this.#rtol, this.#atol)
    if (!difference) return
    if (Number.isFinite(difference.absolute))
      this.#maxAbsolute = Math.max(this.#maxAbsolute, difference.absolute)
    if (Number.isFinite(difference.relative))
      this.#maxRelative = Math.max(this.#maxRelative, difference.relative)
    if (difference.within) {
      this.#within++
      return
    }
    this.#differences++
    if (this.#first) return
    const name = this.#header?.[index]
    const at = {
      line,
      column: index + 1,
      expected: excerpt(expected),
      found: excerpt(found),
    }
    this.#first = {
      message: `first differs in line ${line}, column ${index + 1}${name ? ` ("${excerpt(name)}")` : ''}: expected ${at.expected}, found ${at.found}`,
      at,
    }
  }

  result(): Difference {
    const figures = {
      differences: this.#differences + this.#rows,
      maxAbsolute: this.#maxAbsolute,
      maxRelative: this.#maxRelative,
    }
    const size = `largest difference ${show(this.#maxAbsolute)} absolute, ${show(this.#maxRelative)} relative`
    if (this.#first) {
      const what = [
        this.#differences > 0 ? count('cell', this.#differences) : null,
        this.#rows > 0 ? count('row', this.#rows) : null,
      ].filter(part => part !== null)
      const verb = figures.differences === 1 ? 'differs' : 'differ'
      return {
        ...this.#first,
        ...figures,
        status: 'differs',
        message: `${this.#first.message}; ${what.join(' and ')} ${verb}; ${size}`,
      }
    }
    if (this.#within === 0) return EQUAL
    return {
      ...figures,
      status: 'within tolerance',
      message: `${count('cell', this.#within)} ${this.#within === 1 ? 'differs' : 'differ'} within the tolerance; ${size}`,
    }
  }
}

const show = (value: number) => (value === 0 ? '0' : value.toPrecision(3))

function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) if (byte !== 32 && byte !== 9 && byte !== 13) return false
  return true
}

function tooLong(line: Line): Difference {
  return {
    status: 'unexpected type',
    message: `line ${line.number} is longer than ${LINE_BYTES >> 20} MiB: no table`,
    at: { line: line.number },
  }
}

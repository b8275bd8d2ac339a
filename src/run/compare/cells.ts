/** How a row of a table is cut into cells. */
export type Delimiter = string | 'whitespace'

/** The delimiter of a table, from one of its lines: tab, comma, else white space. */
export function guessDelimiter(line: string): Delimiter {
  if (line.includes('\t')) return '\t'
  return line.includes(',') ? ',' : 'whitespace'
}

/** Cuts a line into cells. With a comma or another character, cells may be quoted as RFC 4180 says. */
export function splitCells(line: string, delimiter: Delimiter): string[] {
  if (delimiter === 'whitespace' || delimiter === ' ') {
    const trimmed = line.trim()
    return trimmed === '' ? [] : trimmed.split(/\s+/)
  }
  if (!line.includes('"')) return line.split(delimiter).map(cell => cell.trim())
  const cells: string[] = []
  let cell = ''
  let quoted = false
  for (let i = 0; i < line.length; i++) {
    const ch = line[i]!
    if (quoted) {
      if (ch !== '"') cell += ch
      else if (line[i + 1] === '"') cell += line[i++]
      else quoted = false
    } else if (ch === '"' && cell.trim() === '') {
      quoted = true
      cell = ''
    } else if (ch === delimiter) {
      cells.push(cell.trim())
      cell = ''
    } else cell += ch
  }
  cells.push(cell.trim())
  return cells
}

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/

/** The number a cell holds (`nan`, `inf` and `-Infinity` too), or null. */
export function parseNumber(cell: string): number | null {
  if (NUMBER.test(cell)) return Number(cell)
  const match = /^([+-]?)(nan|inf(?:inity)?)$/i.exec(cell)
  if (!match) return null
  if (match[2]!.toLowerCase() === 'nan') return Number.NaN
  return match[1] === '-' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
}

export interface CellDifference {
  readonly within: boolean
  readonly absolute: number
  /** Infinite where the expected value is 0. */
  readonly relative: number
}

/**
 * Compares two cells: as numbers by |found - expected| <= atol + rtol * |expected| (numpy's rule; NaN equals NaN,
 * an infinity only itself), else as text. Null when they are equal.
 */
export function compareCells(
  found: string,
  expected: string,
  rtol: number,
  atol: number,
): CellDifference | null {
  if (found === expected) return null
  const a = parseNumber(found)
  const b = parseNumber(expected)
  if (a === null || b === null) return { within: false, absolute: Number.NaN, relative: Number.NaN }
  if (Number.isNaN(a) && Number.isNaN(b)) return null
  const absolute = distance(found, expected, a, b)
  if (absolute === 0) return null
  if (!Number.isFinite(a) || !Number.isFinite(b))
    return { within: false, absolute: Number.POSITIVE_INFINITY, relative: Number.POSITIVE_INFINITY }
  return {
    within: absolute <= atol + rtol * Math.abs(b),
    absolute,
    relative: absolute / Math.abs(b),
  }
}

const LONG_INTEGER = /^[+-]?\d{16,1000}$/

/** |a - b|; long integers, which doubles cannot tell apart, are subtracted as integers. */
function distance(found: string, expected: string, a: number, b: number): number {
  if (LONG_INTEGER.test(found) && LONG_INTEGER.test(expected)) {
    const difference = BigInt(found.replace('+', '')) - BigInt(expected.replace('+', ''))
    return Number(difference < 0n ? -difference : difference)
  }
  return a === b ? 0 : Math.abs(a - b)
}

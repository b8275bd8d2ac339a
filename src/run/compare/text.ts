import type { FileHandle } from 'node:fs/promises'
import { count } from '../../core/text.ts'
import { type Difference, EQUAL, excerpt, firstDifference } from './difference.ts'
import type { Ignored } from './ignored-lines.ts'
import { FilteredLines, type Line, LineReader } from './line-reader.ts'

/** Longer lines are compared in pieces; patterns look at the first piece. */
const LINE_BYTES = 1 << 20

/**
 * Compares two texts line by line, leaving out lines that are ignored, on both sides.
 * Lines are bytes: CRLF against LF, and a missing line feed at the end, are differences.
 */
export async function compareText(
  found: FileHandle,
  expected: FileHandle,
  ignored: Ignored,
  signal?: AbortSignal,
): Promise<Difference> {
  const left = new FilteredLines(new LineReader(found, LINE_BYTES, signal), ignored)
  const right = new FilteredLines(new LineReader(expected, LINE_BYTES, signal), ignored)
  let first: Pick<Difference, 'message' | 'at'> | null = null
  let differences = 0
  for (;;) {
    let a = await left.next()
    let b = await right.next()
    // Equal lines are ignored or not ignored together: no need to ask the patterns.
    if (a && b && same(a, b) && (a.continued || !a.more)) continue
    a = await left.counted(a)
    b = await right.counted(b)
    if (!a && !b) break
    if (a && b && same(a, b)) continue
    differences++
    first ??= describe(a, b)
    if (a) await left.skipRest(a)
    if (b) await right.skipRest(b)
  }
  if (!first) return EQUAL
  return {
    ...first,
    status: 'differs',
    message: `${first.message}; ${count('line', differences)} ${differences === 1 ? 'differs' : 'differ'}`,
    differences,
  }
}

const same = (a: Line, b: Line) =>
  a.more === b.more && a.ended === b.ended && a.bytes.equals(b.bytes)

function describe(a: Line | null, b: Line | null): Required<Pick<Difference, 'message' | 'at'>> {
  const line = (a ?? b)!.number
  if (!a || !b) {
    const text = excerpt((a ?? b)!.bytes.toString('utf8'))
    return {
      message: a
        ? `line ${line} is more than was expected: found "${text}"`
        : `ends where line ${line} was expected: "${text}"`,
      at: { line, ...(a ? { found: text } : { expected: text }) },
    }
  }
  const [textA, textB] = [a.bytes.toString('utf8'), b.bytes.toString('utf8')]
  const index = firstDifference(Buffer.from(textA, 'utf16le'), Buffer.from(textB, 'utf16le'))
  const same = index < 0 ? Math.min(textA.length, textB.length) : index >> 1
  const at = {
    line,
    column: same + 1,
    expected: excerpt(textB, same),
    found: excerpt(textA, same),
  }
  return {
    message: `first differs in line ${line}, column ${at.column}: expected "${at.expected}", found "${at.found}"${endings(a, b)}`,
    at,
  }
}

function endings(a: Line, b: Line): string {
  const ending = (line: Line) =>
    line.more ? '' : !line.ended ? 'no line feed' : line.bytes.at(-1) === 13 ? 'CRLF' : 'LF'
  const [endA, endB] = [ending(a), ending(b)]
  return endA === endB || endA === '' || endB === ''
    ? ''
    : ` (expected ${endB} at the end of the line, found ${endA})`
}

import type { FileHandle } from 'node:fs/promises'
import { count, formatCount } from '../../core/text.ts'
import { type Difference, EQUAL, excerpt, firstDifference } from './difference.ts'

const CHUNK_BYTES = 1 << 20
const CONTEXT_BYTES = 32

/** Compares two files byte by byte: where they first differ, and in how many bytes. */
export async function compareExact(
  found: FileHandle,
  expected: FileHandle,
  signal?: AbortSignal,
): Promise<Difference> {
  const a = Buffer.allocUnsafe(CHUNK_BYTES)
  const b = Buffer.allocUnsafe(CHUNK_BYTES)
  let position = 0
  let line = 1
  let differences = 0
  let first: { byte: number; line: number; found: string; expected: string } | null = null
  for (;;) {
    signal?.throwIfAborted()
    const [gotA, gotB] = await Promise.all([
      readFull(found, a, position),
      readFull(expected, b, position),
    ])
    if (gotA === 0 && gotB === 0) break
    const partA = a.subarray(0, gotA)
    const partB = b.subarray(0, gotB)
    const common = Math.min(gotA, gotB)
    if (gotA !== gotB || !partA.equals(partB)) {
      if (!first) {
        const index = firstDifference(partA, partB)
        const at = index < 0 ? common : index
        line += countLines(partA.subarray(0, at))
        first = { byte: position + at, line, found: show(partA, at), expected: show(partB, at) }
      }
      for (let i = 0; i < common; i++) if (partA[i] !== partB[i]) differences++
      differences += Math.max(gotA, gotB) - common
    } else if (!first) line += countLines(partA)
    position += Math.max(gotA, gotB)
  }
  if (!first) return EQUAL
  const sizes = await Promise.all([found.stat(), expected.stat()])
  const size =
    sizes[0].size === sizes[1].size
      ? ''
      : `; ${count('byte', sizes[0].size)} where ${formatCount(sizes[1].size)} were expected`
  return {
    status: 'differs',
    message: `first differs at byte ${first.byte} (line ${first.line}): expected ${first.expected}, found ${first.found}; ${count('byte', differences)} ${differences === 1 ? 'differs' : 'differ'}${size}`,
    at: first,
    differences,
  }
}

async function readFull(handle: FileHandle, buffer: Buffer, position: number): Promise<number> {
  let got = 0
  while (got < buffer.length) {
    const { bytesRead } = await handle.read(buffer, got, buffer.length - got, position + got)
    if (bytesRead === 0) break
    got += bytesRead
  }
  return got
}

function countLines(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) lines++
  return lines
}

/** The bytes at the difference: as text when they are printable, else in hex. */
function show(bytes: Buffer, at: number): string {
  if (at >= bytes.length) return 'the end of the file'
  const piece = bytes.subarray(at, at + CONTEXT_BYTES)
  const text = piece.toString('utf8')
  if (/^[\x20-\x7e\t\n\r]+$/.test(text)) return `"${excerpt(text)}"`
  return `0x${piece.subarray(0, 8).toString('hex')}`
}

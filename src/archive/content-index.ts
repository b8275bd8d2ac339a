import {
  type IndexEntry,
  type IndexRoot,
  indexEntry,
  type SegmentLine,
  segmentLine,
} from '../../schemas/index.ts'
import { assertArchivePath, comparePaths } from '../core/archive-path.ts'
import { canonicalJson } from '../core/canonical-json.ts'
import { fail, ReproError } from '../core/errors.ts'
import { blake3 } from '../system/blake3.ts'

/**
 * The content index of a release as a tree of segments; docs/format/index.md is normative and has vectors.
 *
 * A segment is lines of canonical JSON, each ended by `\n`. It ends after a line whose boundary hash is 0 mod 64,
 * but not before MIN_LINES and at the latest at MAX_LINES. The boundary hash of level k is the 32-bit little-endian
 * word k of BLAKE3(path of the line; of a segment line, its `last`). The lists of segments are cut the same way
 * until one segment is left: the root. An empty index is the empty root.
 */
export const MIN_LINES = 16
export const MAX_LINES = 256
const AVERAGE_LINES = 64
const MAX_LEVELS = 8
/** Segments of one list that are being read while earlier ones are walked: a peer may be far away. */
const READ_AHEAD = 8
const MAX_SEGMENT_BYTES = 4 << 20

export interface BuiltIndex {
  readonly root: IndexRoot
  /** Every segment of every level, each once. */
  readonly segments: ReadonlyMap<string, string>
}

/** Builds the index of `entries`, in any order. Throws PATH_UNSAFE for a bad or doubled path. */
export function buildIndex(entries: readonly IndexEntry[]): BuiltIndex {
  const sorted = [...entries].sort((a, b) => comparePaths(a.path, b.path))
  sorted.forEach((entry, i) => {
    assertArchivePath(entry.path)
    if (i > 0 && sorted[i - 1]!.path === entry.path)
      fail('PATH_UNSAFE', `the path "${entry.path}" is there twice`)
  })
  const segments = new Map<string, string>()
  let lines = cut(
    sorted.map(entry => ({
      boundary: entry.path,
      first: entry.path,
      entries: 1,
      bytes: sizeOf(entry),
      text: canonicalJson(entry),
    })),
    0,
    segments,
  )
  for (let level = 1; lines.length > 1; level++) lines = cut(lines, level, segments)
  const empty = blake3('')
  if (lines.length === 0) segments.set(empty, '')
  const root = lines[0]
  return {
    root: {
      blake3: root ? root.segment : empty,
      entries: sorted.length,
      files: sorted.filter(entry => entry.type === 'file').length,
      bytes: root?.bytes ?? 0,
    },
    segments,
  }
}

interface Line {
  readonly boundary: string
  readonly first: string
  readonly entries: number
  readonly bytes: number
  readonly text: string
}

function cut(
  lines: readonly Line[],
  level: number,
  segments: Map<string, string>,
): (Line & { segment: string })[] {
  const above: (Line & { segment: string })[] = []
  let start = 0
  for (let end = 1; end <= lines.length; end++) {
    const size = end - start
    const atBoundary = size >= MIN_LINES && isBoundary(lines[end - 1]!.boundary, level)
    if (!atBoundary && size < MAX_LINES && end < lines.length) continue
    const part = lines.slice(start, end)
    const text = part.map(line => `${line.text}\n`).join('')
    const hash = blake3(text)
    segments.set(hash, text)
    const line = {
      segment: hash,
      first: part[0]!.first,
      last: part.at(-1)!.boundary,
      entries: part.reduce((sum, l) => sum + l.entries, 0),
      bytes: part.reduce((sum, l) => sum + l.bytes, 0),
    }
    above.push({
      segment: hash,
      boundary: line.last,
      first: line.first,
      entries: line.entries,
      bytes: line.bytes,
      text: canonicalJson(line),
    })
    start = end
  }
  return above
}

function isBoundary(path: string, level: number): boolean {
  const word = Buffer.from(blake3(path), 'hex').readUInt32LE(4 * (level % MAX_LEVELS))
  return word % AVERAGE_LINES === 0
}

const sizeOf = (entry: IndexEntry) => (entry.type === 'file' ? entry.size : 0)

/** Gives the text of a segment by its BLAKE3, or null when it is not there. The text is checked here. */
export type SegmentReader = (blake3: string) => Promise<string | null>

/**
 * Walks an index in order, checking every segment against its hash, the order of its lines, its paths and totals.
 * With `prefix`, segments that cannot hold a path equal to or below it are not read.
 * Throws HASH_MISMATCH, RECORD_INVALID.
 */
export async function* readIndex(
  root: IndexRoot,
  read: SegmentReader,
  prefix?: string,
): AsyncGenerator<IndexEntry> {
  const total = { entries: 0, bytes: 0, files: 0, last: null as string | null }
  for await (const entry of walk(root.blake3, null, read, prefix, 0)) {
    if (total.last !== null && comparePaths(total.last, entry.path) >= 0)
      invalid(`"${entry.path}" is out of order`)
    total.last = entry.path
    total.entries++
    total.bytes += sizeOf(entry)
    if (entry.type === 'file') total.files++
    if (prefix === undefined || covers(prefix, entry.path)) yield entry
  }
  if (prefix !== undefined) return
  if (total.entries !== root.entries || total.bytes !== root.bytes || total.files !== root.files)
    invalid('its totals are not those the manifest gives')
}

function covers(prefix: string, path: string): boolean {
  return prefix === '' || path === prefix || path.startsWith(`${prefix}/`)
}

function mayHold(prefix: string, line: SegmentLine): boolean {
  if (prefix === '') return true
  return comparePaths(line.last, prefix) >= 0 && comparePaths(line.first, `${prefix}0`) < 0 // '0' is the byte after '/'
}

async function* walk(
  hash: string,
  parent: SegmentLine | null,
  read: SegmentReader,
  prefix: string | undefined,
  depth: number,
): AsyncGenerator<IndexEntry> {
  if (depth > MAX_LEVELS) invalid('it has too many levels')
  const nodes = await readSegment(hash, read)
  const [first, last] = [nodes[0], nodes.at(-1)]
  if (parent && (parent.first !== firstOf(first) || parent.last !== lastOf(last)))
    invalid(`the segment ${hash} does not cover what the list says`)
  const wanted = nodes.filter(({ line }) => !line || prefix === undefined || mayHold(prefix, line))
  const below: Promise<string | null>[] = []
  for (const [i, { entry, line }] of wanted.entries()) {
    while (below.length < wanted.length && below.length < i + READ_AHEAD) {
      const next = wanted[below.length]!.segment
      const text = next === null ? Promise.resolve(null) : read(next)
      text.catch(() => undefined)
      below.push(text)
    }
    if (entry) yield entry
    else if (line) {
      const readAhead: SegmentReader = hash => (hash === line.segment ? below[i]! : read(hash))
      yield* walk(line.segment, line, readAhead, prefix, depth + 1)
    }
  }
}

const firstOf = (node: IndexNode | undefined) => node?.entry?.path ?? node?.line?.first
const lastOf = (node: IndexNode | undefined) => node?.entry?.path ?? node?.line?.last

/** One line of a segment: an entry, or a segment of the level below with what it covers. */
export interface IndexNode {
  readonly entry: IndexEntry | null
  readonly segment: string | null
  readonly line?: SegmentLine
  readonly entries: number
}

/** The lines of one segment, checked against its hash and its form. Throws HASH_MISMATCH, RECORD_INVALID, PATH_UNSAFE. */
export async function readSegment(hash: string, read: SegmentReader): Promise<IndexNode[]> {
  const text = await read(hash)
  if (text === null) fail('HASH_MISMATCH', `the segment ${hash} of the content index is missing`)
  if (Buffer.byteLength(text) > MAX_SEGMENT_BYTES)
    invalid(`the segment ${hash} is larger than ${MAX_SEGMENT_BYTES} bytes`)
  if (blake3(text) !== hash)
    fail(
      'HASH_MISMATCH',
      `the segment ${hash} of the content index has other bytes than its hash says`,
    )
  const nodes: IndexNode[] = []
  for (const value of parseLines(text, hash)) {
    if (typeof value === 'object' && value !== null && 'segment' in value) {
      const line = parseWith(() => segmentLine.parse(value))
      nodes.push({ entry: null, segment: line.segment, line, entries: line.entries })
    } else {
      const entry = parseWith(() => indexEntry.parse(value))
      assertArchivePath(entry.path)
      nodes.push({ entry, segment: null, entries: 1 })
    }
  }
  return nodes
}

function* parseLines(text: string, hash: string): Generator<unknown> {
  if (text === '') return
  if (!text.endsWith('\n')) invalid(`the segment ${hash} has no line end`)
  for (const line of text.slice(0, -1).split('\n')) {
    const value = parseWith(() => JSON.parse(line) as unknown)
    if (canonicalJson(value) !== line) invalid(`the segment ${hash} is no canonical JSON`)
    yield value
  }
}

function parseWith<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new ReproError('RECORD_INVALID', 'the content index has a line that is no valid entry', {
      cause,
    })
  }
}

function invalid(what: string): never {
  fail('RECORD_INVALID', `the content index is invalid: ${what}`)
}

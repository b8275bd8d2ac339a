import {
  type IndexEntry,
  type IndexRoot,
  indexEntry,
  type SegmentLine,
  segmentLine,
} from '../../schemas/index.ts'
import { assertArchivePath, comparePaths } from '../core/archive-path.ts'
import { fail, ReproError } from '../core/errors.ts'
import { blake3, blake3Digest } from '../system/blake3.ts'

/**
 * The content index of a release as a tree of segments; docs/format/index.md is normative and has vectors.
 *
 * A segment is lines of canonical JSON, each ended by `\n`. It ends after a line whose boundary hash is 0 mod 8,
 * but not before MIN_LINES and at the latest at MAX_LINES. The boundary hash of level k is the 32-bit little-endian
 * word k of BLAKE3(path of the line; of a segment line, its `last`). The lists of segments are cut the same way
 * until one segment is left: the root. An empty index is the empty root.
 */
export const MIN_LINES = 8
export const MAX_LINES = 64
const BOUNDARY_EVERY = 8
const MAX_LEVELS = 8
/** Segments of one list that are being read while earlier ones are walked: a peer may be far away. */
const READ_AHEAD = 32
const MAX_SEGMENT_BYTES = 4 << 20

export interface BuiltIndex {
  readonly root: IndexRoot
  /** Every segment of every level, each once. */
  readonly segments: ReadonlyMap<string, string>
}

/** Builds the index of `entries`, in any order. Throws PATH_UNSAFE for a bad or doubled path. */
export function buildIndex(entries: readonly IndexEntry[]): BuiltIndex {
  const sorted = sort(entries)
  const segments = new Map<string, string>()
  const bottom = new Cutter(0, segments)
  let files = 0
  for (const entry of sorted) {
    if (entry.type === 'file') files++
    bottom.add(entryLine(entry), entry.path, entry.path, 1, sizeOf(entry))
  }
  let lines = bottom.end()
  for (let level = 1; lines.length > 1; level++) {
    const cutter = new Cutter(level, segments)
    for (const { first, last, entries, bytes, text } of lines)
      cutter.add(text, first, last, entries, bytes)
    lines = cutter.end()
  }
  const empty = blake3('')
  if (lines.length === 0) segments.set(empty, '')
  const root = { blake3: lines[0]?.segment ?? empty, bytes: lines[0]?.bytes ?? 0 }
  return { root: { ...root, entries: sorted.length, files }, segments }
}

/** Entries in order, each path checked. Lists mostly are in order already. */
function sort(entries: readonly IndexEntry[]): readonly IndexEntry[] {
  let ordered = true
  for (const [i, { path }] of entries.entries()) {
    assertArchivePath(path)
    ordered &&= i === 0 || comparePaths(entries[i - 1]!.path, path) < 0
  }
  if (ordered) return entries
  const sorted = [...entries].sort((a, b) => comparePaths(a.path, b.path))
  for (const [i, { path }] of sorted.entries())
    if (i > 0 && sorted[i - 1]!.path === path)
      fail('PATH_UNSAFE', `the path "${path}" is there twice`)
  return sorted
}

interface Line extends SegmentLine {
  readonly text: string
}

/** Cuts the lines of one level into segments, and makes the lines of the level above. */
class Cutter {
  readonly #level: number
  readonly #segments: Map<string, string>
  readonly #above: Line[] = []
  #text = ''
  #count = 0
  #entries = 0
  #bytes = 0
  #first = ''
  #last = ''

  constructor(level: number, segments: Map<string, string>) {
    this.#level = level
    this.#segments = segments
  }

  add(text: string, first: string, last: string, entries: number, bytes: number): void {
    if (this.#count++ === 0) this.#first = first
    this.#text += `${text}\n`
    this.#last = last
    this.#entries += entries
    this.#bytes += bytes
    if (this.#count < MIN_LINES) return
    if (this.#count >= MAX_LINES || isBoundary(last, this.#level)) this.#cut()
  }

  end(): readonly Line[] {
    if (this.#count > 0) this.#cut()
    return this.#above
  }

  #cut(): void {
    const segment = blake3(this.#text)
    this.#segments.set(segment, this.#text)
    const line = {
      segment,
      first: this.#first,
      last: this.#last,
      entries: this.#entries,
      bytes: this.#bytes,
    }
    this.#above.push({ ...line, text: segmentText(line) })
    this.#text = ''
    this.#count = 0
    this.#entries = 0
    this.#bytes = 0
  }
}

function isBoundary(path: string, level: number): boolean {
  return blake3Digest(path).readUInt32LE(4 * (level % MAX_LEVELS)) % BOUNDARY_EVERY === 0
}

/** The canonical JSON of an entry. */
function entryLine(entry: IndexEntry): string {
  const path = JSON.stringify(entry.path)
  if (entry.type === 'folder') return `{"path":${path},"type":"folder"}`
  if (entry.type === 'link')
    return `{"path":${path},"target":${JSON.stringify(entry.target)},"type":"link"}`
  const { blake3, executable, size } = entry
  return `{"blake3":"${blake3}",${executable ? '"executable":true,' : ''}"path":${path},"size":${size},"type":"file"}`
}

/** The canonical JSON of a line of a list of segments. */
function segmentText({ bytes, entries, first, last, segment }: SegmentLine): string {
  return `{"bytes":${bytes},"entries":${entries},"first":${JSON.stringify(first)},"last":${JSON.stringify(last)},"segment":"${segment}"}`
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
  for await (const entries of walk(root.blake3, null, read, prefix, 0)) {
    for (const entry of entries) {
      count(entry, total)
      if (entry.type === 'file') total.files++
      if (prefix === undefined || covers(prefix, entry.path)) yield entry
    }
  }
  if (prefix !== undefined) return
  if (total.entries !== root.entries || total.bytes !== root.bytes || total.files !== root.files)
    invalid('its totals are not those the manifest gives')
}

function count(
  entry: IndexEntry,
  total: { entries: number; bytes: number; last: string | null },
): void {
  if (total.last !== null && comparePaths(total.last, entry.path) >= 0)
    invalid(`"${entry.path}" is out of order`)
  total.last = entry.path
  total.entries++
  total.bytes += sizeOf(entry)
}

/**
 * Cuts an index into parts of at most about `most` entries, in order; together they hold what the manifest says.
 * Null when its lists do not tell so: `readIndex` says then what is wrong, if something is. Throws as `readIndex`.
 */
export async function indexParts(
  root: IndexRoot,
  read: SegmentReader,
  most: number,
): Promise<readonly SegmentLine[] | null> {
  let parts = linesOnly(await readSegment(root.blake3, read))
  for (let level = 1; parts?.some(part => part.entries > most); level++) {
    if (level > MAX_LEVELS) return null
    const finer: SegmentLine[] = []
    for (const part of parts) {
      const lines: readonly SegmentLine[] | null =
        part.entries > most ? linesOnly(await readSegment(part.segment, read)) : [part]
      if (!lines || lines[0]!.first !== part.first || lines.at(-1)!.last !== part.last) return null
      finer.push(...lines)
    }
    parts = finer
  }
  if (!parts) return null
  const total = { entries: 0, bytes: 0 }
  for (const [i, { first, entries, bytes }] of parts.entries()) {
    if (i > 0 && comparePaths(parts[i - 1]!.last, first) >= 0) return null
    total.entries += entries
    total.bytes += bytes
  }
  return total.entries === root.entries && total.bytes === root.bytes ? parts : null
}

/** The lines of a list of segments; null for a segment of entries. */
function linesOnly(nodes: readonly IndexNode[]): readonly SegmentLine[] | null {
  const lines = nodes.flatMap(({ line }) => line ?? [])
  return lines.length === nodes.length && lines.length > 0 ? lines : null
}

/** Walks one of `indexParts`, with the checks of `readIndex`. */
export async function* readPart(
  part: SegmentLine,
  read: SegmentReader,
): AsyncGenerator<IndexEntry> {
  const total = { entries: 0, bytes: 0, last: null as string | null }
  for await (const entries of walk(part.segment, part, read, undefined, 1)) {
    for (const entry of entries) {
      count(entry, total)
      yield entry
    }
  }
  if (total.entries !== part.entries || total.bytes !== part.bytes)
    invalid(`the part that begins with "${part.first}" has other totals than its list says`)
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
): AsyncGenerator<readonly IndexEntry[]> {
  if (depth > MAX_LEVELS) invalid('it has too many levels')
  const nodes = await readSegment(hash, read)
  const [first, last] = [nodes[0], nodes.at(-1)]
  if (parent && (parent.first !== firstOf(first) || parent.last !== lastOf(last)))
    invalid(`the segment ${hash} does not cover what the list says`)
  const lines = nodes.flatMap(({ line }) =>
    line && (prefix === undefined || mayHold(prefix, line)) ? [line] : [],
  )
  const below: Promise<string | null>[] = []
  let entries: IndexEntry[] = []
  let at = 0
  for (const { entry, line } of nodes) {
    if (entry) entries.push(entry)
    if (!line || line !== lines[at]) continue
    if (entries.length > 0) yield entries
    entries = []
    while (below.length < lines.length && below.length < at + READ_AHEAD) {
      const text = read(lines[below.length]!.segment)
      text.catch(() => undefined)
      below.push(text)
    }
    const text = below[at++]!
    const readAhead: SegmentReader = hash => (hash === line.segment ? text : read(hash))
    yield* walk(line.segment, line, readAhead, prefix, depth + 1)
  }
  if (entries.length > 0) yield entries
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

/** A file's line as `entryLine` writes it, where nothing in its path is escaped: nearly all lines of an index. */
const FILE_LINE =
  /^\{"blake3":"([0-9a-f]{64})",("executable":true,)?"path":"([^"\\\u0000-\u001f\u007f-\uffff]+)","size":(0|[1-9][0-9]{0,14}),"type":"file"\}$/

function plainFile(line: string): IndexEntry | null {
  const [, blake3, executable, path, size] = FILE_LINE.exec(line) ?? []
  if (blake3 === undefined) return null
  const file = { path: path!, type: 'file', size: Number(size), blake3 } as const
  return executable ? { ...file, executable: true } : file
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
  for (const one of linesOf(text, hash)) {
    const file = plainFile(one)
    if (file) {
      assertArchivePath(file.path)
      nodes.push({ entry: file, segment: null, entries: 1 })
      continue
    }
    const value = parseWith(() => JSON.parse(one) as unknown)
    if (typeof value === 'object' && value !== null && 'segment' in value) {
      const line = parseWith(() => segmentLine.parse(value))
      if (segmentText(line) !== one) notCanonical(hash)
      nodes.push({ entry: null, segment: line.segment, line, entries: line.entries })
    } else {
      const entry = parseWith(() => indexEntry.parse(value))
      const wellFormed = entry.type !== 'link' || entry.target.isWellFormed()
      if (!wellFormed || entryLine(entry) !== one) notCanonical(hash)
      assertArchivePath(entry.path)
      nodes.push({ entry, segment: null, entries: 1 })
    }
  }
  return nodes
}

function linesOf(text: string, hash: string): readonly string[] {
  if (text === '') return []
  if (!text.endsWith('\n')) invalid(`the segment ${hash} has no line end`)
  return text.slice(0, -1).split('\n')
}

function notCanonical(hash: string): never {
  invalid(`the segment ${hash} is no canonical JSON`)
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

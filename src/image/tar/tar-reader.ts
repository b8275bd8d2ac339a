import { fail } from '../../core/errors.ts'
import { showBytePath } from '../byte-path.ts'
import {
  MAX_ENTRIES,
  MAX_EXTENDED_HEADER_BYTES,
  MAX_NAME_BYTES,
  MAX_PATH_BYTES,
} from '../limits.ts'
import type { ByteSource } from './byte-source.ts'
import { BLOCK_BYTES, decodeHeader, decodePax, type TarHeader } from './tar-header.ts'

type TarEntryType = 'file' | 'folder' | 'link' | 'hardlink' | 'special'

/** One thing in a tar. Paths and targets are byte strings, as they stand in the tar: not checked for where they lead. */
export interface TarEntry {
  readonly path: string
  readonly type: TarEntryType
  readonly target: string
  readonly mode: number
  /** Seconds. */
  readonly mtime: number
  readonly size: number
  /** Where the bytes begin in the tar. */
  readonly offset: number
  /** The bytes of a file; may be read once, before the next entry is asked for, or not at all. */
  body(): AsyncGenerator<Buffer>
}

export interface TarReadOptions {
  /** The tar must end with its end mark: for tars of which no digest is known. */
  readonly endMark?: boolean
}

const TYPES: Readonly<Record<string, TarEntryType>> = {
  '0': 'file',
  '7': 'file',
  '1': 'hardlink',
  '2': 'link',
  '3': 'special',
  '4': 'special',
  '5': 'folder',
  '6': 'special',
}
const BODY_CHUNK_BYTES = 1 << 20

/** What extended headers say about the next entry. */
interface Overrides {
  path?: string
  target?: string
  size?: number
  mtime?: number
}

/**
 * Reads a tar strictly: ustar, PAX, GNU long names and base-256 numbers. Sparse files, multi-volume entries, unknown
 * types, broken numbers, sums and headers, entries cut short, and anything but zeros after the end mark are IMAGE_INVALID.
 */
export async function* readTar(
  source: ByteSource,
  options: TarReadOptions = {},
): AsyncGenerator<TarEntry> {
  let overrides: Overrides = {}
  let entries = 0
  for (;;) {
    const start = source.position
    const block = await source.exact(BLOCK_BYTES)
    if (!block) {
      if (source.position !== start || (await source.some(1))) truncated('a header')
      if (options.endMark)
        fail('IMAGE_INVALID', 'the tar has no end mark: it was cut short', { hints: [REMAKE] })
      return
    }
    const header = decodeHeader(block, start)
    if (!header) return await expectZeros(source)
    if (++entries > MAX_ENTRIES)
      fail('IMAGE_INVALID', `the tar has more than ${MAX_ENTRIES} entries`)
    if ('LKxXg'.includes(header.type)) {
      overrides = { ...overrides, ...(await readExtended(source, header)) }
      continue
    }
    yield* readEntry(source, header, overrides)
    overrides = {}
  }
}

const REMAKE = 'make the file again, or copy it again, and compare the sizes'

async function* readEntry(
  source: ByteSource,
  header: TarHeader,
  overrides: Overrides,
): AsyncGenerator<TarEntry> {
  let path = overrides.path ?? header.name
  const shown = showBytePath(path)
  const type = path.endsWith('/') && header.type === '0' ? 'folder' : TYPES[header.type]
  if (header.type === 'S') sparse(shown)
  if (!type) fail('IMAGE_INVALID', `the tar entry "${shown}" has the unknown type "${header.type}"`)
  path = path.replace(/\/+$/, '') || '.'
  const target = overrides.target ?? header.linkName
  checkName(path, shown)
  if (type === 'link' || type === 'hardlink') checkTarget(target, shown)
  // As other readers do: only files have bytes, whatever the size of another entry says.
  const size = type === 'file' ? (overrides.size ?? header.size) : 0
  const end = source.position + size
  yield {
    path,
    type,
    target,
    mode: header.mode,
    mtime: overrides.mtime ?? header.mtime,
    size,
    offset: source.position,
    async *body() {
      while (source.position < end) {
        const chunk = await source.some(Math.min(BODY_CHUNK_BYTES, end - source.position))
        if (!chunk) truncated(`"${shown}"`)
        yield chunk
      }
    },
  }
  const rest = end - source.position + padding(size)
  if (rest > 0 && !(await source.skip(rest))) truncated(`"${shown}"`)
}

async function readExtended(source: ByteSource, header: TarHeader): Promise<Overrides> {
  if (header.size > MAX_EXTENDED_HEADER_BYTES)
    fail('IMAGE_INVALID', `an extended header of the tar has ${header.size} bytes`)
  const padded = await source.exact(header.size + padding(header.size))
  if (!padded) truncated('an extended header')
  const body = padded.subarray(0, header.size)
  if (header.type === 'L') return { path: untilNul(body) }
  if (header.type === 'K') return { target: untilNul(body) }
  const records = decodePax(body)
  if (header.type === 'g') {
    if (['path', 'linkpath', 'size'].some(key => records.has(key)))
      fail('IMAGE_INVALID', 'a global header of the tar renames entries')
    return {}
  }
  return paxOverrides(records)
}

function paxOverrides(records: Map<string, string>): Overrides {
  const overrides: Overrides = {}
  for (const [key, value] of records) {
    if (key === 'path') overrides.path = value
    else if (key === 'linkpath') overrides.target = value
    else if (key === 'mtime') overrides.mtime = Math.max(0, Number.parseFloat(value) || 0)
    else if (key === 'size') {
      if (!/^[0-9]{1,15}$/.test(value))
        fail('IMAGE_INVALID', `a PAX header of the tar gives the size "${value}"`)
      overrides.size = Number(value)
    } else if (key.startsWith('GNU.sparse.')) sparse(records.get('GNU.sparse.name') ?? '')
  }
  return overrides
}

async function expectZeros(source: ByteSource): Promise<void> {
  const second = await source.exact(BLOCK_BYTES)
  if (second && decodeHeaderOrNull(second)) trailing()
  for (;;) {
    const chunk = await source.some(BODY_CHUNK_BYTES)
    if (!chunk) return
    if (chunk.some(byte => byte !== 0)) trailing()
  }
}

const decodeHeaderOrNull = (block: Buffer) => block.some(byte => byte !== 0)
const padding = (size: number) => (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES

function untilNul(body: Buffer): string {
  const end = body.indexOf(0)
  return body.toString('latin1', 0, end < 0 ? body.length : end)
}

function checkName(path: string, shown: string): void {
  if (path.includes('\0')) fail('IMAGE_INVALID', 'a name in the tar contains a NUL')
  if (path.length > MAX_PATH_BYTES)
    fail('IMAGE_INVALID', `the name "${shown.slice(0, 80)}…" in the tar is too long`)
  if (path.split('/').some(part => part.length > MAX_NAME_BYTES))
    fail('IMAGE_INVALID', `a part of the name "${shown.slice(0, 80)}…" in the tar is too long`)
}

function checkTarget(target: string, shown: string): void {
  if (target === '' || target.includes('\0') || target.length > MAX_PATH_BYTES)
    fail('IMAGE_INVALID', `the link "${shown}" in the tar has no valid target`)
}

function truncated(what: string): never {
  fail('IMAGE_INVALID', `the tar ends in the middle of ${what}: it was cut short`, {
    hints: [REMAKE],
  })
}

function trailing(): never {
  fail('IMAGE_INVALID', 'the tar goes on after its end mark', {
    hints: ['several tars in one file are not read: join them by `tar --concatenate`'],
  })
}

function sparse(shown: string): never {
  fail('IMAGE_INVALID', `the tar entry "${shown}" is a sparse file, which is not read`, {
    hints: ['make the tar without --sparse'],
  })
}

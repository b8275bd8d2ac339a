// Checks the files that a part of an index lists, for quick-check.ts and its threads. Plain JavaScript: a thread loads
// it as it is. What is not as it must be, or not of the plain form that nearly all lines have, is not judged here.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** Words that the threads share: the next part, whether to stop, files and KiB done. */
export const NEXT = 0
export const STOP = 1
export const FILES = 2
export const KIB = 3

/** Larger files are left to those who read and hash at the same time. */
export const LARGE_BYTES = 1 << 20
const MOST_SEGMENT_BYTES = 1 << 20
const MOST_LEVELS = 8
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const buffer = Buffer.allocUnsafeSlow(LARGE_BYTES + 1)

const FILE_START = '{"blake3":"'
const FILE_PATH = '","path":"'
const FILE_EXECUTABLE = '","executable":true,"path":"'
const FILE_SIZE = '","size":'
const FILE_END = ',"type":"file"}'
const HASH_END = FILE_START.length + 64
const HASH = /^[0-9a-f]{64}$/
const SIZE = /^(?:0|[1-9][0-9]{0,14})$/
/** Paths without anything that is escaped, refused, or repro's own. */
const PLAIN = /^[\w-][\w.-]*(?:\/[\w-][\w.-]*)*$/
const PLAIN_TOO = /^(?!\.repro(?:\/|$))(?:(?!\.\.?(?:\/|$))[\w .+@=,~()-]+(?:\/(?!$)|$))+$/i
const MOST_PATH = 255
const LIST_LINE =
  /^\{"bytes":(0|[1-9][0-9]{0,14}),"entries":([1-9][0-9]{0,14}),"first":"([^"]+)","last":"([^"]+)","segment":"([0-9a-f]{64})"\}$/

const isPlain = path => path.length <= MOST_PATH && (PLAIN.test(path) || PLAIN_TOO.test(path))

/** What is no plain part of an index, or no file that is just as listed. */
class NotPlain extends Error {}

function refuse() {
  throw new NotPlain()
}

/**
 * Gives a function that checks one part: its segments by their hashes, and every file by its kind, size, mode and hash.
 * It returns what was found equal, with large files left over; null when the part must be looked at closely.
 */
export function createPartCheck(blake3, folder, segmentFolder, words) {
  return part => {
    const found = { entries: 0, files: 0, bytes: 0, folders: [], large: [] }
    const state = { last: '', above: null }
    try {
      checkSegment(part, found, state, 1)
    } catch (error) {
      if (error instanceof NotPlain || error.code !== undefined) return null
      throw error
    }
    return found
  }

  function checkSegment({ segment, first, last, entries, bytes }, found, state, level) {
    if (level > MOST_LEVELS) refuse()
    const before = { entries: found.entries, bytes: found.bytes }
    const lines = readSegment(segment)
    if (firstOf(lines[0]) !== first) refuse()
    if (lines[0].startsWith(FILE_START)) for (const line of lines) checkLine(line, found, state)
    else for (const line of lines) checkSegment(listed(line), found, state, level + 1)
    if (state.last !== last) refuse()
    if (found.entries - before.entries !== entries || found.bytes - before.bytes !== bytes) refuse()
  }

  function readSegment(hash) {
    const fd = openSync(`${segmentFolder}/${hash}.jsonl`, READ)
    let text
    try {
      if (!fstatSync(fd).isFile()) refuse()
      const length = readSync(fd, buffer, 0, buffer.length, 0)
      if (length === 0 || length > MOST_SEGMENT_BYTES) refuse()
      const bytes = buffer.subarray(0, length)
      if (blake3(bytes).toString('hex') !== hash || bytes[length - 1] !== 10) refuse()
      text = bytes.latin1Slice(0, length - 1)
    } finally {
      closeSync(fd)
    }
    return text.split('\n')
  }

  function checkLine(line, found, state) {
    if (Atomics.load(words, STOP) !== 0) refuse()
    const file = plainFile(line)
    // Plain paths are of ASCII, in which both orders agree.
    if (file === null || !(state.last < file.path)) refuse()
    const { path } = file
    state.last = path
    const above = state.above
    if (above === null || !path.startsWith(above) || path.indexOf('/', above.length) >= 0) {
      const end = path.lastIndexOf('/')
      state.above = path.slice(0, end + 1)
      if (end > 0) found.folders.push(path.slice(0, end))
    }
    // That of a small file is compared with digits.
    if (file.size > LARGE_BYTES && HASH.test(file.blake3)) found.large.push(file)
    else if (file.size > LARGE_BYTES || !isEqual(file)) refuse()
    found.entries++
    found.files++
    found.bytes += file.size
    Atomics.add(words, FILES, 1)
    Atomics.add(words, KIB, file.size >> 10)
  }

  /** Whether a regular file of at most LARGE_BYTES is just what is listed. No link is followed in its last part. */
  function isEqual({ path, size, blake3: hash, executable }) {
    const fd = openSync(`${folder}/${path}`, READ)
    try {
      const stats = fstatSync(fd)
      if (!stats.isFile() || stats.size !== size) return false
      if (((stats.mode & 0o100) !== 0) !== (executable === true)) return false
      const length = size === 0 ? 0 : readSync(fd, buffer, 0, size + 1, 0)
      return length === size && blake3(buffer.subarray(0, size)).toString('hex') === hash
    } finally {
      closeSync(fd)
    }
  }
}

function firstOf(line) {
  return line.startsWith(FILE_START) ? plainFile(line)?.path : listed(line).first
}

function listed(line) {
  const [, bytes, entries, first, last, segment] = LIST_LINE.exec(line) ?? refuse()
  if (!isPlain(first) || !isPlain(last)) refuse()
  return { segment, first, last, entries: Number(entries), bytes: Number(bytes) }
}

/** A file's line in its canonical form with a plain path, but for its hash; null for all other lines. */
function plainFile(line) {
  if (!line.startsWith(FILE_START) || !line.endsWith(FILE_END)) return null
  const executable = line.startsWith(FILE_EXECUTABLE, HASH_END)
  if (!executable && !line.startsWith(FILE_PATH, HASH_END)) return null
  const start = HASH_END + (executable ? FILE_EXECUTABLE : FILE_PATH).length
  const end = line.indexOf('"', start)
  const path = line.slice(start, end)
  const size = line.slice(end + FILE_SIZE.length, -FILE_END.length)
  if (end < 0 || !line.startsWith(FILE_SIZE, end) || !SIZE.test(size) || !isPlain(path)) return null
  const blake3 = line.slice(FILE_START.length, HASH_END)
  const file = { path, type: 'file', size: Number(size), blake3 }
  return executable ? { ...file, executable } : file
}

/** Takes parts as long as there are some, one after another; gives what each was found to be. */
export function* takeParts(parts, words, check) {
  for (;;) {
    const at = Atomics.add(words, NEXT, 1)
    if (at >= parts.length || Atomics.load(words, STOP) !== 0) return
    yield [at, check(parts[at])]
  }
}

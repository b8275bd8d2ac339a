// Looks for a form in the beginnings of files, for head-search.ts: in the calling thread and in threads of its own.
// Plain JavaScript: Node 20 runs no TypeScript, and the same file serves the sources, the library and the command.
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { createQuadScan } from './quad-scan.mjs'

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** A NUL byte among the first so many says that a file is no text, and no more of it is read. */
const SNIFFED_BYTES = 8192
const HEAD_BYTES = 1 << 20

/** The first MiB of a text file as Latin-1; null for what is no text, and for what cannot be read. */
export function readTextHead(path) {
  shared ??= Buffer.allocUnsafe(HEAD_BYTES)
  const size = readHead(path, shared)
  return size === null ? null : shared.latin1Slice(0, size)
}
let shared

/** The length of the head of a text file that is read into `buffer`, or null. */
function readHead(path, buffer) {
  let fd
  try {
    fd = openSync(path, READ_FLAGS)
    let size = 0
    for (let want = SNIFFED_BYTES; ; want = HEAD_BYTES) {
      const read = readSync(fd, buffer, size, want - size, size)
      if (buffer.subarray(size, Math.min(size + read, SNIFFED_BYTES)).includes(0)) return null
      size += read
      if (read === 0 || size === HEAD_BYTES || (want === SNIFFED_BYTES && size < want)) return size
    }
  } catch {
    return null
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Tells of files whether a form is in their heads. */
export function createHeadSearch({ form, quads }) {
  const quick = quads.length > 0 ? createQuadScan(quads, HEAD_BYTES) : null
  const buffer = quick?.bytes ?? Buffer.allocUnsafe(HEAD_BYTES)
  return path => {
    const size = readHead(path, buffer)
    if (size === null || quick?.mayHold(size) === false) return false
    return form.test(buffer.latin1Slice(0, size))
  }
}

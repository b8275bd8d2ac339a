// Looks for a form in the beginnings of files, for head-search.ts: in the calling thread and in threads of its own.
// Plain JavaScript: Node 20 runs no TypeScript, and the same file serves the sources, the library and the command.
import { closeSync, constants, openSync, readSync } from 'node:fs'

const READ_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
/** A NUL byte among the first so many says that a file is no text, and no more of it is read. */
const SNIFFED_BYTES = 8192
const HEAD_BYTES = 1 << 20

/** The first MiB of a text file as Latin-1; null for what is no text, and for what cannot be read. */
export function readTextHead(path) {
  buffer ??= Buffer.allocUnsafe(HEAD_BYTES)
  let fd
  try {
    fd = openSync(path, READ_FLAGS)
    let size = 0
    for (let want = SNIFFED_BYTES; ; want = HEAD_BYTES) {
      const read = readSync(fd, buffer, size, want - size, size)
      if (buffer.subarray(size, Math.min(size + read, SNIFFED_BYTES)).includes(0)) return null
      size += read
      if (read === 0 || size === HEAD_BYTES || (want === SNIFFED_BYTES && size < want))
        return buffer.latin1Slice(0, size)
    }
  } catch {
    return null
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}
let buffer

/** Whether the form is found in the head of a text file. */
export function headHolds(path, form) {
  const text = readTextHead(path)
  return text !== null && form.test(text)
}

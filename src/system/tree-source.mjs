// Reads runs of bytes of files for the threads of tree-pool.ts. Plain JavaScript: threads load it as it is.
import { closeSync, constants, openSync, readSync } from 'node:fs'

/** At most so many bytes are read at once. */
export const CHUNK_BYTES = 1 << 20
const KEPT_OPEN = 64
/** The source of bytes that came with the job. */
const IN_SLAB = -1
/** So much between two runs is read along. */
const GAP_BYTES = 16 << 10

/** What cannot be read of a source: the file is then asked of its release, which knows what to do about it. */
export class Unreadable extends Error {}

const open = new Map()
const window = { path: '', start: 0, end: 0, bytes: Buffer.allocUnsafeSlow(CHUNK_BYTES) }

/** Source files stay open from one job to the next. */
function descriptorOf(path) {
  let fd = open.get(path)
  if (fd !== undefined) return fd
  if (open.size >= KEPT_OPEN) closeSources()
  fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  open.set(path, fd)
  return fd
}

export function closeSources() {
  for (const fd of open.values()) closeSync(fd)
  open.clear()
  window.path = ''
}

/** Reads just these bytes of a path or an open file. Throws Unreadable. */
function readWhole(source, buffer, at, length, offset) {
  try {
    const fd = typeof source === 'number' ? source : descriptorOf(source)
    for (let done = 0; done < length; ) {
      const read = readSync(fd, buffer, at + done, length - done, offset + done)
      if (read === 0) throw new Error(`"${source}" ends at ${offset + done}`)
      done += read
    }
  } catch (error) {
    throw new Unreadable(error.message, { cause: error })
  }
}

/** How far neighbours of a file's only run go: they are read together, and nothing behind them. */
export function runEnds(files) {
  const ends = new Array(files.length).fill(0)
  for (let i = files.length - 1; i >= 0; i--) {
    const [extent] = files[i].extents
    if (files[i].extents.length !== 1 || extent[0] === IN_SLAB) continue
    const [source, offset, length] = extent
    const [next] = files[i + 1]?.extents ?? []
    const gap = next?.[0] === source ? next[1] - offset - length : -1
    ends[i] = gap >= 0 && gap <= GAP_BYTES && ends[i + 1] > 0 ? ends[i + 1] : offset + length
  }
  return ends
}

/** Bytes that `extents` have together. */
export function lengthOf(extents) {
  return extents.reduce((sum, [, , length]) => sum + length, 0)
}

/** The bytes of a run of at most CHUNK_BYTES: good until the next call. */
export function take({ sources, slab }, [source, offset, length], end) {
  if (source === IN_SLAB) return slab.subarray(offset, offset + length)
  const path = sources[source]
  if (window.path !== path || offset < window.start || offset + length > window.end) {
    const wanted = Math.min(CHUNK_BYTES, Math.max(length, end - offset))
    window.path = ''
    readWhole(path, window.bytes, 0, wanted, offset)
    window.path = path
    window.start = offset
    window.end = offset + wanted
  }
  const at = offset - window.start
  return window.bytes.subarray(at, at + length)
}

/** Fills `buffer` from runs that follow each other, as far as it goes; `cursor` = {extent, done} moves on. */
export function fill(buffer, { sources, slab }, extents, cursor) {
  let filled = 0
  while (filled < buffer.length && cursor.extent < extents.length) {
    const [source, offset, length] = extents[cursor.extent]
    const part = Math.min(length - cursor.done, buffer.length - filled)
    const from = offset + cursor.done
    if (source === IN_SLAB) buffer.set(slab.subarray(from, from + part), filled)
    else readWhole(sources[source], buffer, filled, part, from)
    filled += part
    cursor.done += part
    if (cursor.done < length) continue
    cursor.extent++
    cursor.done = 0
  }
  return filled
}

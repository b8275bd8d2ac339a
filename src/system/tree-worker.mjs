// Writes and checks files for tree-pool.ts in a thread of its own. Plain JavaScript: threads load it as it is.
// Jobs: {id, kind: 'write' | 'check' | 'prove' | 'follow', ...}; answers: {id, results} or {id, error: {code, message, ...}}.
// Nothing here decides where a file goes: paths come checked from tree-writer.ts.
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  openSync,
  readSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { parentPort, threadId, workerData } from 'node:worker_threads'
import { follow, pump } from './tree-ring.mjs'
import { CHUNK_BYTES, fill, lengthOf, runEnds, take, Unreadable } from './tree-source.mjs'

const { Blake3Hasher, blake3 } = createRequire(import.meta.url)('@napi-rs/blake-hash')
const stop = new Int32Array(workerData.stop)
const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES)
const PAGE = 4096
const ZEROS = Buffer.alloc(PAGE)
/** Files below it have no holes. */
const SPARSE_BYTES = 64 << 10
/** A run of zeros shorter than this is written. */
const HOLE_BYTES = 32 << 10
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
const CLONE = constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const salt = `${(Date.now() & 0xffffff).toString(16).padStart(6, '0')}${(threadId & 0xff).toString(16).padStart(2, '0')}`
let named = 0
/** False once the file system was asked in vain to let two files share their blocks. */
let clones = true

const stateOf = s => `${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}:${s.ctimeNs}`

function assertGoing() {
  if (Atomics.load(stop, 0) !== 0) throw Object.assign(new Error('stopped'), { name: 'AbortError' })
}

/** A name that no other process uses, in the form that an interrupted checkout is swept by. */
function temporaryFor(path) {
  named = (named + 1) & 0xffff
  const name = `${salt}${named.toString(16).padStart(4, '0')}`
  return join(dirname(path), `.${basename(path).slice(0, 40)}.${process.pid}.${name}.tmp`)
}

/** Hands the bytes of a file to `use(bytes, position)` and returns their BLAKE3. Throws Unreadable. */
function bytesOf(file, job, end, use) {
  const [only] = file.extents
  if (lengthOf(file.extents) !== file.size) throw new Unreadable('other bytes than expected')
  if (file.extents.length === 0) return blake3(buffer.subarray(0, 0)).toString('hex')
  if (file.extents.length === 1 && file.size <= CHUNK_BYTES) {
    const bytes = take(job, only, end)
    const hash = blake3(bytes).toString('hex')
    if (hash === file.blake3) use(bytes, 0)
    return hash
  }
  if (job.ring) return pump(job, file.extents, use, assertGoing)
  const hasher = new Blake3Hasher()
  const cursor = { extent: 0, done: 0 }
  for (let position = 0; ; ) {
    assertGoing()
    const length = fill(buffer, job, file.extents, cursor)
    if (length === 0) return hasher.digest('hex')
    const bytes = buffer.subarray(0, length)
    hasher.update(bytes)
    use(bytes, position)
    position += length
  }
}

/** Whether this page of zeros may begin a hole. */
function isZero(bytes, at) {
  return (
    bytes[at] === 0 &&
    bytes[at + PAGE - 1] === 0 &&
    ZEROS.compare(bytes, at, at + PAGE, 0, PAGE) === 0
  )
}

function writeWhole(fd, bytes, start, end, position) {
  for (let at = start; at < end; ) at += writeSync(fd, bytes, at, end - at, position + at - start)
}

/** Writes all but long runs of zero pages: the file has its full size already. */
function writeSparse(fd, bytes, position) {
  let written = 0
  let at = (PAGE - (position % PAGE)) % PAGE
  while (at + PAGE <= bytes.length) {
    const from = at
    while (at + PAGE <= bytes.length && isZero(bytes, at)) at += PAGE
    if (at - from >= HOLE_BYTES) {
      writeWhole(fd, bytes, written, from, position + written)
      written = at
    }
    if (at === from) at += PAGE
  }
  writeWhole(fd, bytes, written, bytes.length, position + written)
}

/**
 * Makes `temporary` share the blocks of the one whole file that has the bytes, where the file system can, and returns
 * the open copy with the BLAKE3 of its bytes; null where it cannot, or the file is too small to gain by it.
 */
function clone(file, { sources, ring }, temporary) {
  const [only] = file.extents
  const whole = only !== undefined && only[0] >= 0 && only[1] === 0 && only[2] === file.size
  if (!clones || !whole || file.extents.length > 1 || file.size < SPARSE_BYTES) return null
  try {
    copyFileSync(sources[only[0]], temporary, CLONE)
  } catch {
    clones = false
    return null
  }
  try {
    chmodSync(temporary, 0o600)
    const fd = openSync(temporary, constants.O_RDWR | constants.O_NOFOLLOW)
    try {
      const hash = fstatSync(fd).size === file.size ? hashOpen(fd, file.size, ring) : ''
      return { fd, hash }
    } catch (error) {
      closeSync(fd)
      throw error
    }
  } catch (error) {
    unlinkSync(temporary)
    throw error
  }
}

/** The file's state once it stands under its name; null when its bytes were not what they must be. */
function writeFile(file, job, end) {
  const temporary = temporaryFor(file.path)
  let fd = null
  let placed = false
  const create = () => {
    fd = openSync(temporary, CREATE, 0o600)
    if (file.size >= SPARSE_BYTES) ftruncateSync(fd, file.size)
  }
  try {
    const cloned = clone(file, job, temporary)
    fd = cloned?.fd ?? null
    const hash =
      cloned?.hash ??
      bytesOf(file, job, end, (bytes, position) => {
        if (fd === null) create()
        if (file.size >= SPARSE_BYTES) writeSparse(fd, bytes, position)
        else writeWhole(fd, bytes, 0, bytes.length, position)
      })
    if (hash !== file.blake3) return null
    if (fd === null) create()
    fchmodSync(fd, file.mode)
    if (job.mtime !== null) futimesSync(fd, job.mtime, job.mtime)
    renameSync(temporary, file.path)
    placed = true
    return stateOf(fstatSync(fd, { bigint: true }))
  } catch (error) {
    if (error instanceof Unreadable) return null
    throw error
  } finally {
    if (fd !== null) {
      closeSync(fd)
      if (!placed) unlinkSync(temporary)
    }
  }
}

/** Whether the bytes are the file's. */
function proveFile(file, job, end) {
  try {
    return bytesOf(file, job, end, () => undefined) === file.blake3
  } catch (error) {
    if (error instanceof Unreadable) return false
    throw error
  }
}

/** What stands at a path, compared with what should: and its state where that is wanted; null says equal. */
function checkFile(file, { wantsState, ring }) {
  let fd
  try {
    fd = openSync(file.path, READ)
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return { is: 'missing' }
    if (error.code === 'ELOOP') return { is: 'link' }
    if (error.code === 'ENXIO') return { is: 'special' }
    throw error
  }
  try {
    const before = fstatSync(fd, { bigint: wantsState })
    if (!before.isFile()) return { is: before.isDirectory() ? 'folder' : 'special' }
    const size = Number(before.size)
    if (size !== file.size) return { is: 'size', found: size }
    if (((Number(before.mode) & 0o100) !== 0) !== file.executable) return { is: 'mode' }
    const hash = hashOpen(fd, size, ring)
    const state = wantsState ? stateOf(before) : null
    if (hash === file.blake3 && !wantsState) return null
    const after = fstatSync(fd, { bigint: wantsState })
    const same = wantsState
      ? stateOf(after) === state
      : after.mtimeMs === before.mtimeMs && after.ctimeMs === before.ctimeMs
    if (!same || Number(after.size) !== size) return { is: 'moving' }
    return hash === file.blake3 ? { is: 'equal', state } : { is: 'hash', found: hash }
  } catch (error) {
    if (error instanceof Unreadable) return { is: 'moving' }
    throw error
  } finally {
    closeSync(fd)
  }
}

function hashOpen(fd, size, ring) {
  if (ring) return pump({ ring, sources: [fd] }, [[0, 0, size]], () => undefined, assertGoing)
  const first = readSync(fd, buffer, 0, buffer.length, 0)
  if (first >= size) return blake3(buffer.subarray(0, size)).toString('hex')
  const hasher = new Blake3Hasher()
  for (let at = 0, read = first; read > 0; read = readSync(fd, buffer, 0, buffer.length, at)) {
    assertGoing()
    hasher.update(buffer.subarray(0, read))
    at += read
  }
  return hasher.digest('hex')
}

function doJob(job) {
  if (job.kind === 'follow') return follow(job.ring, assertGoing)
  const ends = job.sources ? runEnds(job.files) : []
  return job.files.map((file, i) => {
    assertGoing()
    if (job.kind === 'check') return checkFile(file, job)
    return job.kind === 'prove' ? proveFile(file, job, ends[i]) : writeFile(file, job, ends[i])
  })
}

parentPort.on('message', job => {
  try {
    parentPort.postMessage({ id: job.id, results: doJob(job) })
  } catch (error) {
    const { name, code, message, path, dest, syscall } = error
    parentPort.postMessage({ id: job.id, error: { name, code, message, path, dest, syscall } })
  }
})

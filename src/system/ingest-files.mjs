// Reads files for ingest-pool.ts: hashes them whole and in blocks. The same code runs in threads and, with spare hashers,
// in the calling thread. Plain JavaScript, because Node 20 runs no TypeScript in a thread.
//
// Everything is a generator. It yields NEED for an empty slab (an ArrayBuffer, given to next()), {wait} for the value of
// a promise, or a message.
import { closeSync, constants, fstatSync, openSync, read, readSync } from 'node:fs'
import {
  createCutter,
  gearTable,
  isZeros,
  MAX_BLOCK,
  MIN_BLOCK,
  scanPlain,
  scanWasm,
} from './cutter.mjs'

export const SLAB_BYTES = 4 << 20
export const NEED = null
/** Read, hashed and cut while it is in the processor's cache. */
const PIECE_BYTES = 256 << 10
/** Large enough that a turn of the event loop for each costs nothing. */
const AHEAD_BYTES = 4 << 20
const PROGRESS_BYTES = 64 << 20

const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const stateOf = s => `${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}:${s.ctimeNs}`

/** A fault of ours is {code, message}; one of the system is {errno, message}. */
const fault = (code, message) => Object.assign(new Error(message), { ours: code })
const changed = path => fault('SOURCE_CHANGED', `"${path}" changed while it was being read`)

function faultMessage(which, error) {
  const { ours, code, message } = error
  return { type: 'fault', which, error: ours ? { code: ours, message } : { errno: code, message } }
}

/** An open file, to be found at the end as it was at the beginning and as it is expected to be. */
class Opened {
  constructor({ absolute, size, state }) {
    this.path = absolute
    this.foretold = state !== ''
    this.fd = openSync(absolute, FLAGS)
    try {
      const stats = fstatSync(this.fd, { bigint: true })
      if (!stats.isFile()) throw fault('FILE_UNSUPPORTED', `"${absolute}" is no regular file`)
      this.state = stateOf(stats)
      this.size = Number(stats.size)
      this.executable = (Number(stats.mode) & 0o100) !== 0
      if (state !== '' && (this.state !== state || this.size !== size)) throw changed(absolute)
    } catch (error) {
      this.close()
      throw error
    }
  }

  /** What readSync gives, later: {length} or {error}. */
  readAhead(bytes, at) {
    return new Promise(resolve =>
      read(this.fd, bytes, 0, bytes.length, at, (error, length) => resolve({ error, length })),
    )
  }

  read(bytes, from, to, at) {
    return readSync(this.fd, bytes, from, to - from, at)
  }

  /** Throws SOURCE_CHANGED unless just `read` bytes were there. */
  check(read) {
    const after = stateOf(fstatSync(this.fd, { bigint: true }))
    if (read !== this.size || after !== this.state) throw changed(this.path)
  }

  close() {
    closeSync(this.fd)
  }
}

/** @param {{blake3(bytes: Uint8Array): Uint8Array, hasher(): {update(bytes: Uint8Array): unknown, hex(): string}}} hashes */
export function createIngest({ blake3, hasher }) {
  let cutter = null
  const zeroDigests = new Map()

  const cut = (bytes, from, to) => {
    if (!cutter) {
      const table = gearTable(blake3)
      cutter = createCutter(typeof WebAssembly === 'object' ? scanWasm(table) : scanPlain(table))
    }
    return cutter(bytes, from, to)
  }

  const digest = (bytes, from, to) => {
    const block = bytes.subarray(from, to)
    if (to - from <= MIN_BLOCK || !isZeros(bytes, from, to)) return blake3(block)
    if (!zeroDigests.has(to - from)) zeroDigests.set(to - from, blake3(block))
    return zeroDigests.get(to - from)
  }

  /** Small files, many to a slab. */
  function* packFiles(files) {
    let slab = null
    let bytes = null
    let used = 0
    let batch = newBatch()
    for (const [which, file] of files.entries()) {
      if (slab && used + file.size >= SLAB_BYTES) {
        yield batch.message(slab)
        slab = null
      }
      if (!slab) {
        slab = yield NEED
        bytes = new Uint8Array(slab)
        used = 0
        batch = newBatch()
      }
      try {
        const opened = new Opened(file)
        try {
          if (opened.size !== file.size) throw changed(file.absolute)
          const end = readWhole(opened, bytes, used)
          opened.check(end - used)
          batch.add(which, opened, used, blake3(bytes.subarray(used, end)))
          used = end
        } finally {
          opened.close()
        }
      } catch (error) {
        yield faultMessage(which, error)
      }
    }
    if (slab) yield batch.message(slab)
  }

  /** The digests of files of any size, and nothing else. With `ahead`, the system reads large files while we hash. */
  function* hashFiles(files, ahead) {
    const batch = newBatch()
    const bytes = scratch()
    for (const [which, file] of files.entries()) {
      try {
        const opened = new Opened(file)
        try {
          const small = opened.size < bytes.length
          batch.add(
            which,
            opened,
            0,
            small ? hashSmall(opened, bytes) : yield* hashLarge(which, opened, ahead),
          )
        } finally {
          opened.close()
        }
      } catch (error) {
        yield faultMessage(which, error)
      }
    }
    yield batch.message(null)
  }

  function hashSmall(opened, bytes) {
    const end = readWhole(opened, bytes, 0)
    opened.check(end)
    return blake3(bytes.subarray(0, end))
  }

  function* hashLarge(which, opened, ahead) {
    const whole = hasher()
    let at = 0
    let said = 0
    for (const pieces = ahead ? readAhead(opened) : readNow(opened); ; ) {
      const piece = ahead ? yield* pieces() : pieces()
      if (piece.length === 0) break
      at += piece.length
      whole.update(piece)
      if (at - said < PROGRESS_BYTES) continue
      yield { type: 'progress', which, bytes: at - said }
      said = at
    }
    opened.check(at)
    return Buffer.from(whole.hex(), 'hex')
  }

  /** One file of more than MIN_BLOCK bytes, in blocks. */
  function* cutFile([file]) {
    let opened = null
    let slab = null
    try {
      opened = new Opened(file)
      const whole = hasher()
      slab = yield NEED
      let bytes = new Uint8Array(slab)
      let at = 0
      let [begin, filled] = [0, 0]
      let part = newPart()
      for (let ended = false; !ended; ) {
        const read = opened.read(bytes, filled, Math.min(filled + PIECE_BYTES, SLAB_BYTES), at)
        ended = read === 0
        whole.update(bytes.subarray(filled, filled + read))
        at += read
        filled += read
        while (begin < filled && (ended || filled - begin >= MAX_BLOCK)) {
          const end = cut(bytes, begin, filled)
          part.add(end, digest(bytes, begin, end))
          begin = end
        }
        if (!ended && filled < SLAB_BYTES) continue
        const rest = bytes.slice(begin, filled)
        if (part.ends.length > 0) yield part.message(slab)
        else yield { type: 'unused', slab }
        slab = null
        if (ended) break
        slab = yield NEED
        bytes = new Uint8Array(slab)
        bytes.set(rest)
        ;[begin, filled] = [0, rest.length]
        part = newPart()
      }
      opened.check(at)
      const { size, executable, state } = opened
      yield { type: 'end', which: 0, hashed: { blake3: whole.hex(), size, executable, state } }
    } catch (error) {
      if (slab) yield { type: 'unused', slab }
      yield faultMessage(0, error)
    } finally {
      opened?.close()
    }
  }

  return ({ mode, files }) => {
    if (mode === 'cut') return cutFile(files)
    return mode === 'pack' ? packFiles(files) : hashFiles(files, mode === 'hash-ahead')
  }
}

function readNow(opened) {
  const bytes = scratch()
  let at = 0
  return () => {
    const length = opened.read(bytes, 0, bytes.length, at)
    at += length
    return bytes.subarray(0, length)
  }
}

/** Two buffers: one is read into while the other is hashed. */
function readAhead(opened) {
  let [bytes, spare] = [new Uint8Array(AHEAD_BYTES), new Uint8Array(AHEAD_BYTES)]
  let at = 0
  let coming = opened.readAhead(bytes, 0)
  return function* next() {
    const { error, length } = yield { wait: coming }
    if (error) throw error
    const piece = bytes.subarray(0, length)
    at += length
    ;[bytes, spare] = [spare, bytes]
    if (length > 0) coming = opened.readAhead(bytes, at)
    return piece
  }
}

let shared = null
const scratch = () => {
  shared ??= new Uint8Array(1 << 20)
  return shared
}

/** Reads to the end of a file that fits: one byte more is asked for, so that a file that grew is seen. */
function readWhole(opened, bytes, from) {
  let end = from
  const limit = Math.min(bytes.length, from + opened.size + 1)
  for (;;) {
    const read = opened.read(bytes, end, limit, end - from)
    end += read
    if (read === 0 || end - from >= opened.size) return end
  }
}

/** Facts are numbers in one array, and a state that was foretold is not said again: there may be many small files. */
function newBatch() {
  const facts = []
  const states = []
  const digests = []
  return {
    add: (which, opened, offset, digest) => {
      facts.push(which, opened.size, opened.executable ? 1 : 0, offset)
      states.push(opened.foretold ? '' : opened.state)
      digests.push(digest)
    },
    message: slab => ({
      type: 'files',
      slab,
      facts: Float64Array.from(facts),
      states,
      digests: Buffer.concat(digests),
    }),
  }
}

function newPart() {
  const ends = []
  const digests = []
  return {
    ends,
    add: (end, digest) => {
      ends.push(end)
      digests.push(digest)
    },
    message: slab => ({ type: 'blocks', slab, ends, digests: Buffer.concat(digests) }),
  }
}

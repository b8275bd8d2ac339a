// One thread reads (and writes) a large file while another hashes the same bytes, for tree-worker.mjs.
import { createRequire } from 'node:module'
import { fill } from './tree-source.mjs'

const { Blake3Hasher } = createRequire(import.meta.url)('@napi-rs/blake-hash')
export const SLOTS = 16
export const SLOT_BYTES = 256 << 10
/** Words of the control block: slots filled, slots hashed, how it ended; then the length of each slot, then the digest. */
const FILLED = 0
const HASHED = 1
const ENDED = 2
const LENGTHS = 3
const DIGEST = LENGTHS + SLOTS
const WHOLE = 1
const BROKEN = 2
const HEXED = 3
const TICK_MS = 100

const control = ring => new Int32Array(ring, SLOTS * SLOT_BYTES)
const slotOf = (ring, turn, length) =>
  Buffer.from(ring, (turn % SLOTS) * SLOT_BYTES, length ?? SLOT_BYTES)

function set(words, at, value) {
  Atomics.store(words, at, value)
  Atomics.notify(words, at)
}

/** Waits until `done(value of the word)`; `check` may throw. */
function wait(words, at, done, check) {
  for (;;) {
    const value = Atomics.load(words, at)
    if (done(value)) return value
    check()
    Atomics.wait(words, at, value, TICK_MS)
  }
}

/**
 * Reads all of `extents` into the ring of a job, hands each part to `use(bytes, position)`, and returns the BLAKE3 that the
 * other thread made of just those bytes.
 */
export function pump(job, extents, use, check) {
  const { ring } = job
  const words = control(ring)
  try {
    const cursor = { extent: 0, done: 0 }
    let position = 0
    for (let turn = 0; ; turn++) {
      check()
      wait(words, HASHED, hashed => turn - hashed < SLOTS, check)
      const slot = slotOf(ring, turn)
      const length = fill(slot, job, extents, cursor)
      if (length === 0) break
      Atomics.store(words, LENGTHS + (turn % SLOTS), length)
      set(words, FILLED, turn + 1)
      use(slot.subarray(0, length), position)
      position += length
    }
    set(words, ENDED, WHOLE)
    Atomics.notify(words, FILLED)
    wait(words, ENDED, state => state === HEXED, check)
    return Buffer.from(ring, SLOTS * SLOT_BYTES + DIGEST * 4, 32).toString('hex')
  } catch (error) {
    set(words, ENDED, BROKEN)
    Atomics.notify(words, FILLED)
    throw error
  }
}

/** Hashes what `pump` reads in another thread, until it ends. */
export function follow(ring, check) {
  const words = control(ring)
  const hasher = new Blake3Hasher()
  for (let turn = 0; ; turn++) {
    let state = 0
    wait(
      words,
      FILLED,
      filled => {
        if (filled > turn) return true
        state = Atomics.load(words, ENDED)
        // What was filled before the end was told counts.
        return state !== 0 && Atomics.load(words, FILLED) <= turn
      },
      check,
    )
    if (Atomics.load(words, FILLED) <= turn) {
      if (state === BROKEN) return
      break
    }
    hasher.update(slotOf(ring, turn, Atomics.load(words, LENGTHS + (turn % SLOTS))))
    set(words, HASHED, turn + 1)
  }
  Buffer.from(hasher.digest('hex'), 'hex').copy(
    Buffer.from(ring, SLOTS * SLOT_BYTES + DIGEST * 4, 32),
  )
  set(words, ENDED, HEXED)
}

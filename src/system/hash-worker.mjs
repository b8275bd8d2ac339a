// Hashes files for hash-pool.ts in a thread of its own. Plain JavaScript: Node 20 runs no TypeScript,
// and the same file serves the sources, the library and the bundled command.
// A job is {id, path}; an answer is {id, blake3, size, executable, state} or {id, error: {code, message, errno}}.
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { createRequire } from 'node:module'
import { parentPort } from 'node:worker_threads'

const { Blake3Hasher } = createRequire(import.meta.url)('@napi-rs/blake-hash')
const buffer = Buffer.allocUnsafe(1 << 20)
const stateOf = s => `${s.dev}:${s.ino}:${s.size}:${s.mtimeNs}:${s.ctimeNs}`

function hash(path) {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const before = fstatSync(fd, { bigint: true })
    if (!before.isFile())
      return { error: { code: 'FILE_UNSUPPORTED', message: `"${path}" is no regular file` } }
    const hasher = new Blake3Hasher()
    let size = 0
    for (;;) {
      const read = readSync(fd, buffer, 0, buffer.length, size)
      if (read === 0) break
      hasher.update(buffer.subarray(0, read))
      size += read
    }
    const after = fstatSync(fd, { bigint: true })
    if (stateOf(before) !== stateOf(after) || BigInt(size) !== after.size) {
      return {
        error: { code: 'SOURCE_CHANGED', message: `"${path}" changed while it was being hashed` },
      }
    }
    return {
      blake3: hasher.digest('hex'),
      size,
      executable: (Number(after.mode) & 0o100) !== 0,
      state: stateOf(after),
    }
  } finally {
    closeSync(fd)
  }
}

parentPort.on('message', ({ id, path }) => {
  try {
    parentPort.postMessage({ id, ...hash(path) })
  } catch (error) {
    parentPort.postMessage({ id, error: { errno: error.code, message: error.message } })
  }
})

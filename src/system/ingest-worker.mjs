// A thread of ingest-pool.ts.
import { createRequire } from 'node:module'
import { parentPort } from 'node:worker_threads'
import { serveIngest } from './ingest-serve.mjs'
import { createLeafHash, hashLeaves } from './leaf-hash.mjs'

const native = createRequire(import.meta.url)('@napi-rs/blake-hash')
const hashes = {
  blake3: native.blake3,
  hasher: () => {
    const hasher = new native.Blake3Hasher()
    return { update: bytes => hasher.update(bytes), hex: () => hasher.digest('hex') }
  },
}

const serve = serveIngest(hashes, (message, transfer) => parentPort.postMessage(message, transfer))
let leafHash = null

parentPort.on('message', message => {
  if (message.leaves === undefined) return serve(message)
  leafHash ??= createLeafHash(native)
  const answer = hashLeaves(leafHash, message)
  parentPort.postMessage(answer, [answer.slab])
})

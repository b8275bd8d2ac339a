// A thread of quick-check.ts.
import { createRequire } from 'node:module'
import { parentPort, workerData } from 'node:worker_threads'
import { createPartCheck, takeParts } from './listed-files.mjs'

const { blake3 } = createRequire(import.meta.url)('@napi-rs/blake-hash')

parentPort.once('message', ({ parts }) => {
  const { folder, segmentFolder, shared } = workerData
  const words = new Int32Array(shared)
  const check = createPartCheck(blake3, folder, segmentFolder, words)
  parentPort.postMessage([...takeParts(parts, words, check)])
})

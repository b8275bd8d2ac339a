import { Worker } from 'node:worker_threads'
import { blake3Digest, createBlake3 } from './blake3.ts'
import { type IngestAnswer, type IngestRequest, serveIngest } from './ingest-serve.mjs'
import type { LeafAnswer, LeafRequest } from './leaf-hash.mjs'

/** Where jobs are done: a thread, or (for little work, and without the native BLAKE3) the calling thread. */
export interface IngestThread {
  post(request: IngestRequest | LeafRequest): void
  /** Whether it keeps the process alive. */
  hold(on: boolean): void
  stop(): Promise<void>
}

/** A heap of this size is plenty: the bytes lie outside of it. */
const LIMITS = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 8 }

/** Starts a thread. `broken` is told when it ends other than by `stop`. */
export function startThread(
  answer: (answer: IngestAnswer | LeafAnswer) => void,
  broken: (error: unknown) => void,
): IngestThread {
  const worker = new Worker(new URL('./ingest-worker.mjs', import.meta.url), {
    resourceLimits: LIMITS,
  })
  let stopped = false
  worker.on('message', answer)
  worker.on('error', broken)
  worker.on('exit', code => {
    if (!stopped) broken(new Error(`a reading thread ended with ${code}`))
  })
  worker.unref()
  return {
    post: request => worker.postMessage(request, 'slab' in request ? [request.slab] : []),
    hold: on => (on ? worker.ref() : worker.unref()),
    stop: async () => {
      stopped = true
      await worker.terminate()
    },
  }
}

/** The same in the calling thread, which gets its turn after every answer. */
export function startInline(answer: (answer: IngestAnswer) => void): IngestThread {
  let stopped = false
  const receive = serveIngest(
    { blake3: blake3Digest, hasher: createBlake3 },
    one => {
      if (!stopped) answer(one)
    },
    () => new Promise(resolve => setImmediate(resolve)),
  )
  return {
    post: request => {
      if (!('leaves' in request)) receive(request)
    },
    hold: () => undefined,
    stop: async () => {
      stopped = true
      receive({ stop: true })
    },
  }
}

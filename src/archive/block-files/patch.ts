import { Readable } from 'node:stream'
import type { BlockStream, HypercoreStorage } from 'hypercore-storage'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import { CoreRX, CoreTX } from 'hypercore-storage/lib/tx.js'
import View, { type Change } from 'hypercore-storage/lib/view.js'
import { dataPointerOf } from './data-pointer.ts'
import type { PendingBlock } from './new-block.ts'
import { blockFilesOfDatabase } from './registry.ts'

/** Stands in a transaction for a block whose pointer is not known yet; reads as damaged, should it ever be stored. */
const UNWRITTEN = Buffer.of(255)

const pendingBlocks = new WeakMap<CoreTX, PendingBlock[]>()
const patchedStorages = new WeakSet<object>()
let patched = false

/**
 * Lays block files under the transactions of hypercore-storage, once a process. Only databases in
 * the registry are concerned: other stores of the process stay as they are.
 */
export function patchTransactions(): void {
  if (patched) return
  patched = true
  const { putBlock, flush } = CoreTX.prototype
  const { getBlock } = CoreRX.prototype
  const flushView = View.flush

  CoreTX.prototype.putBlock = function (index, data) {
    const files = blockFilesOfDatabase(this.db)
    if (files === null) return putBlock.call(this, index, data)
    const value = files.valueFor(data)
    if (value instanceof Uint8Array) return putBlock.call(this, index, value)
    const change: Change = [keys.block(this.core.dataPointer, index), UNWRITTEN, null]
    this.changes!.push(change)
    const pending = pendingBlocks.get(this)
    if (pending) pending.push({ ...value, change })
    else pendingBlocks.set(this, [{ ...value, change }])
  }

  /** The bytes first, then what points at them: also into a view, where they can be read at once. */
  CoreTX.prototype.flush = function () {
    const files = blockFilesOfDatabase(this.db)
    const pending = pendingBlocks.get(this)
    const { changes } = this
    if (files === null || pending === undefined || changes === null) return flush.call(this)
    pendingBlocks.delete(this)
    this.changes = null
    const settle = () => {
      this.changes = changes
      return flush.call(this)
    }
    return files.watchWrite(() => files.write(pending, this.view !== null, settle))
  }

  CoreRX.prototype.getBlock = function (index) {
    const files = blockFilesOfDatabase(this.read._db)
    if (files === null) return getBlock.call(this, index)
    const pointer = dataPointerOf(this.core, index)
    const key = keys.block(pointer, index)
    const value = this.view.get(this.read, key)
    // only a request of a peer is read with a fork
    return this.fork < 0 ? files.read(key, value) : files.readForPeer(key, value, pointer, index)
  }

  View.flush = (changes, db) => {
    const files = blockFilesOfDatabase(db)
    if (files === null) return flushView.call(View, changes, db)
    return files.watchWrite(() => files.shared(() => flushView.call(View, changes, db)))
  }
}

/** The class of `storage` is not exported: its stream of blocks is patched when one is first seen. */
export function patchBlockStream(storage: HypercoreStorage): void {
  const prototype = Object.getPrototypeOf(storage) as HypercoreStorage
  if (patchedStorages.has(prototype)) return
  patchedStorages.add(prototype)
  const { createBlockStream } = prototype
  prototype.createBlockStream = function (options) {
    const stream = createBlockStream.call(this, options)
    const files = blockFilesOfDatabase(this.db)
    if (files === null) return stream
    stream._readableState.map = data => data
    const entries = stream as unknown as AsyncIterable<{ key: Buffer; value: Buffer }>
    return Readable.from(
      (async function* () {
        const done = files.beginReading()
        try {
          for await (const { key, value } of entries) {
            const bytes = await files.read(key, Promise.resolve(value))
            yield { index: keys.blockIndex(key), value: bytes }
          }
        } finally {
          done()
        }
      })(),
    ) as unknown as BlockStream
  }
}

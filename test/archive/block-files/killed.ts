/** Run as a process of its own: `node killed.ts append|migrate|compact <folder> <count>`; kills itself at the given moment. */

import { randomBytes } from 'node:crypto'
import Corestore from 'corestore'
import View from 'hypercore-storage/lib/view.js'
import { BlockWriter } from '../../../src/archive/block-files/block-writer.ts'
import {
  blockFilesOf,
  openBlockStorage,
} from '../../../src/archive/block-files/open-block-storage.ts'

const [moment, folder, count] = process.argv.slice(2) as [string, string, string]
const die = () => process.kill(process.pid, 'SIGKILL')

/** Dies after the n-th time that bytes went into a block file. */
function dieAfterWrites(writes: number): void {
  let left = writes
  const { append } = BlockWriter.prototype
  BlockWriter.prototype.append = async function (buffers) {
    const appended = await append.call(this, buffers)
    if (--left === 0) die()
    return appended
  }
}

if (moment === 'migrate') dieAfterWrites(Number(count))
const storage = await openBlockStorage(folder)
const store = new Corestore(storage)
const core = store.get({ name: 'blocks' })
await core.ready()
if (moment === 'append') {
  View.flush = () => {
    die()
    return new Promise(() => undefined)
  }
  await core.append([randomBytes(10_000), randomBytes(10), randomBytes(30_000)])
}
if (moment === 'compact') {
  dieAfterWrites(Number(count))
  await blockFilesOf(storage)!.compact({ deadShare: 0.1 })
}
await store.close()

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { OpenCore } from 'corestore'
import { core as keys } from 'hypercore-storage/lib/keys.js'
import { expect, test } from 'vitest'
import { openCore, openOurs, someBlocks } from './stores.ts'

test('a damaged block is withdrawn once from each peer, however often it is asked for', async () => {
  const { folder, storage, store, files } = await openOurs()
  const core = await openCore(store)
  await core.append(someBlocks(8))
  await files.sync()
  await storage.db.flush()
  for (const name of await readdir(join(folder, 'blocks'))) {
    if (!name.endsWith('.blk')) continue
    const path = join(folder, 'blocks', name)
    await writeFile(path, (await readFile(path)).fill(0))
  }
  const open = [...store.cores.map.values()][0] as OpenCore
  const { dataPointer } = open.state!.storage.core
  const ask = async (index: number) => {
    const key = keys.block(dataPointer, index)
    return await files.readForPeer(key, storage.db.get(key), dataPointer, index)
  }
  const heard: string[] = []
  const peerOf = (name: string) => ({
    wireRange: {
      send: ({ drop, start }: { drop: boolean; start: number }) =>
        void (drop && heard.push(`${name} ${start}`)),
    },
  })
  const peers = open.replicator.peers as ReturnType<typeof peerOf>[]
  try {
    peers.push(peerOf('one'))
    for (let i = 0; i < 5; i++) expect(await ask(0)).toBeNull()
    expect(heard).toEqual(['one 0'])
    peers.push(peerOf('two'))
    for (let i = 0; i < 5; i++) expect(await ask(0)).toBeNull()
    expect(await ask(1)).toBeNull()
    expect(heard).toEqual(['one 0', 'two 0', 'one 1', 'two 1'])
  } finally {
    peers.length = 0
  }
})

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { WorkRecord } from '../../schemas/index.ts'

/**
 * What is said once in the life of a home, before the public DHT nodes are asked for the first time; null when
 * it was said already. The home remembers it in the file `public-nodes-noted`.
 */
export async function notePublicNodes(home: string): Promise<WorkRecord | null> {
  await mkdir(home, { recursive: true, mode: 0o700 })
  try {
    await writeFile(join(home, 'public-nodes-noted'), `${new Date().toISOString()}\n`, {
      flag: 'wx',
    })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return null
    throw error
  }
  return {
    action: 'note',
    message:
      'peers are looked for by the public Hyperswarm nodes: they and the peers found see the address of this host, and which bundle is asked for as a hash of its key. This is said once',
    hints: ["a lab's own nodes: --bootstrap host:port", 'no nodes at all: --bootstrap none'],
  }
}

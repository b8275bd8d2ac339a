import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { syncFolder } from './atomic-file.ts'

/** Makes the files that lie directly in `folder` durable, whoever wrote them. A folder that is not there has none. */
export async function syncFiles(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (!entry.isFile()) continue
    const handle = await open(join(folder, entry.name), 'r')
    try {
      await handle.datasync()
    } finally {
      await handle.close()
    }
  }
  await syncFolder(folder)
}

import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A file without a name that holds these bytes, open for reading at its begin: to be given to a child. */
export interface NamelessFile {
  readonly fd: number
  close(): void
}

/**
 * Opens one. An empty one stands for /dev/null where a child must not get hold of a node of the host's /dev,
 * whose mode it could change by the descriptor alone when it has the uid of root.
 */
export function openNamelessFile(bytes: Uint8Array = new Uint8Array()): NamelessFile {
  const folder = mkdtempSync(join(tmpdir(), 'repro-file-'))
  try {
    const path = join(folder, 'file')
    writeFileSync(path, bytes, { mode: 0o400 })
    const fd = openSync(path, 'r')
    return { fd, close: () => closeSync(fd) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

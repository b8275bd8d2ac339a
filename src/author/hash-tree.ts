import type { FileEntry, WorkRecord } from '../../schemas/index.ts'
import { comparePaths } from '../core/archive-path.ts'
import { asReproError } from '../core/errors.ts'
import { count } from '../core/text.ts'
import { HashPool } from '../system/hash-pool.ts'
import { parallel } from '../system/parallel.ts'
import { enterPhase } from '../system/phase.ts'
import { type AuthorFault, throwFaults } from './faults.ts'
import type { TreeFile } from './walk.ts'

const PROGRESS_EVERY_MS = 100

export interface HashedTree {
  /** Sorted by path. */
  readonly entries: readonly FileEntry[]
  /** File state at the time of hashing, by path. */
  readonly states: ReadonlyMap<string, string>
}

/**
 * Hashes files side by side. Throws SOURCE_CHANGED or READ_FAILED once for all files that changed since the walk
 * or could not be read, INTERRUPTED.
 */
export async function* hashTree(
  files: readonly TreeFile[],
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, HashedTree> {
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0)
  const totalFiles = files.length
  const entries: FileEntry[] = []
  const states = new Map<string, string>()
  const faults: AuthorFault[] = []
  let bytes = 0
  let saidMs = 0
  yield { action: 'hash', status: 'start', bytes: 0, totalBytes, files: 0, totalFiles }
  const pool = new HashPool(totalBytes, totalFiles)
  try {
    for await (const { file, outcome } of parallel(files, pool.width, async file => {
      const outcome = await pool.hash(file.absolute, signal).then(
        hashed => ({ hashed }),
        (error: unknown) => ({ error }),
      )
      return { file, outcome }
    })) {
      signal?.throwIfAborted()
      enterPhase('hash')
      if ('error' in outcome) faults.push(faultFor(file, outcome.error))
      else if (outcome.hashed.state !== file.state) faults.push(changed(file.path))
      else {
        const { blake3, size, state } = outcome.hashed
        const executable = outcome.hashed.executable ? { executable: true as const } : {}
        entries.push({ path: file.path, type: 'file', size, ...executable, blake3 })
        states.set(file.path, state)
      }
      bytes += file.size
      if (Date.now() - saidMs < PROGRESS_EVERY_MS) continue
      saidMs = Date.now()
      yield { action: 'hash', bytes, totalBytes, files: entries.length, totalFiles }
    }
  } finally {
    await pool.close()
  }
  throwFaults(faults.sort((a, b) => comparePaths(a.file ?? '', b.file ?? '')))
  yield {
    action: 'hash',
    status: 'ok',
    bytes,
    totalBytes,
    files: totalFiles,
    totalFiles,
    message: `hashed ${count('file', totalFiles)}`,
  }
  return { entries: entries.sort((a, b) => comparePaths(a.path, b.path)), states }
}

/** A file that moved under our hands: nothing is published. */
export function changed(path: string): AuthorFault {
  return {
    code: 'SOURCE_CHANGED',
    file: path,
    message: 'changed while the folder was being read',
    hints: ['wait until nothing writes to the folder, then repeat the command'],
  }
}

function faultFor(file: TreeFile, cause: unknown): AuthorFault {
  const errno = (cause as NodeJS.ErrnoException).code
  if (errno === 'ENOENT' || errno === 'ELOOP' || errno === 'SOURCE_CHANGED')
    return changed(file.path)
  const error = asReproError(cause)
  return {
    code: error.code === 'INTERNAL' ? 'READ_FAILED' : error.code,
    file: file.path,
    message: `cannot be read: ${error.message}`,
    hints: error.hints,
  }
}

import type { FileEntry, IndexEntry, WorkRecord } from '../../schemas/index.ts'
import { asReproError, ReproError } from '../core/errors.ts'
import { assertLinksInside } from '../core/link-tree.ts'
import type { LocatedFile, ReleaseSource } from '../core/release-source.ts'
import { createBlake3 } from '../system/blake3.ts'
import { parallel } from '../system/parallel.ts'
import { cutJobs } from '../system/tree-jobs.ts'
import { TreePool } from '../system/tree-pool.ts'
import { Findings, type VerifyResult } from './findings.ts'

const AT_ONCE = 8

/**
 * Re-hashes every file of a release as its source has it. Yields a `verify` record for each that is missing or
 * changed, and `progress`. Does not throw for those: look at the result. Throws LINK_UNSAFE.
 */
export async function* verifyRelease(
  source: ReleaseSource,
  signal?: AbortSignal,
): AsyncGenerator<WorkRecord, VerifyResult> {
  const found = new Findings(source)
  yield found.start()
  const files: FileEntry[] = []
  const links: IndexEntry[] = []
  for await (const entry of source.entries())
    if (entry.type === 'file') files.push(entry)
    else if (entry.type === 'link') links.push(entry)
  assertLinksInside(links)
  const pool = new TreePool(source.manifest.index.bytes, files.length)
  try {
    const look = (jobs: readonly LocatedFile[]) => faultsOf(source, jobs, pool, signal)
    const jobs = jobsOf(source, files, pool, signal)
    for await (const looked of parallel(jobs, Math.max(AT_ONCE, pool.width), look)) {
      for (const { file, fault } of looked) {
        if (!fault?.missing) found.count(file)
        if (fault) yield found.report(fault.missing ? 'missing' : 'changed', file.path, fault.what)
      }
      yield* found.progress()
    }
  } finally {
    await pool.close()
  }
  yield found.done()
  return found.result()
}

/** Files as the threads take them; those whose bytes must be asked for, one at a time. */
async function* jobsOf(
  source: ReleaseSource,
  files: readonly FileEntry[],
  pool: TreePool,
  signal?: AbortSignal,
): AsyncGenerator<readonly LocatedFile[]> {
  const unknown: LocatedFile[] = files.map(file => ({ file, extents: null }))
  const located = pool.width > 0 && files.length > 0 ? source.extents?.(files, signal) : undefined
  for await (const batch of located ?? [unknown]) {
    yield* cutJobs(
      batch.filter(one => one.extents !== null),
      one => one.file.size,
    )
    for (const one of batch) if (one.extents === null) yield [one]
  }
}

/** What is wrong with each file. One that the threads find wrong is read again, for the words. */
async function faultsOf(
  source: ReleaseSource,
  files: readonly LocatedFile[],
  pool: TreePool,
  signal?: AbortSignal,
): Promise<{ file: FileEntry; fault: Fault | null }[]> {
  signal?.throwIfAborted()
  const there = files.map(({ file, extents }) => ({ ...file, extents: extents ?? [] }))
  const proven = files[0]!.extents === null ? [] : await pool.prove(there)
  return await Promise.all(
    files.map(async ({ file }, i) => ({
      file,
      fault: proven[i] ? null : await faultOf(source, file, signal),
    })),
  )
}

interface Fault {
  readonly missing: boolean
  readonly what: string
}

async function faultOf(
  source: ReleaseSource,
  file: FileEntry,
  signal?: AbortSignal,
): Promise<Fault | null> {
  const hasher = createBlake3()
  let size = 0
  try {
    for await (const chunk of source.read(file, signal)) {
      hasher.update(chunk)
      size += chunk.length
    }
  } catch (error) {
    if (signal?.aborted) throw asReproError(error)
    const missing = error instanceof ReproError ? error.code === 'NO_PEER' : isMissing(error)
    return { missing, what: missing ? 'is not here' : (error as Error).message }
  }
  if (size !== file.size)
    return { missing: false, what: `has ${size} bytes, expected ${file.size}` }
  const hash = hasher.hex()
  if (hash === file.blake3) return null
  return { missing: false, what: `has the hash ${hash}, expected ${file.blake3}` }
}

const isMissing = (error: unknown) => (error as { code?: string }).code === 'ENOENT'

import { randomBytes } from 'node:crypto'
import { mkdir, readdir, readFile, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { contentHash, isoDate } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import { writeFileAtomic } from '../system/atomic-file.ts'

/** `run.json`: written when a run begins, so that a killed one can still be told from a finished one. */
export const runFile = z.strictObject({
  format: z.literal(0),
  id: z.string(),
  name: z.string(),
  app: z.string(),
  contentHash,
  startedAt: isoDate,
  /** The process that runs it, and when that process began (field 22 of /proc/<pid>/stat). */
  pid: z.int(),
  pidStart: z.string().nullable(),
  /** Where the outputs are, when not in `out` of the run's folder. */
  out: z.string().nullable(),
})
export type RunFile = z.infer<typeof runFile>

export const RUN_FILE = 'run.json'
export const RECEIPT_FILE = 'receipt.json'
const ID = /^\d{8}T\d{9}Z-[0-9a-f]{6}$/

export interface RunFolder {
  readonly id: string
  readonly path: string
  /** Where the outputs go, absolute and real. */
  readonly out: string
}

export const isRunId = (text: string) => ID.test(text)
export const runsFolder = (home: string) => join(home, 'runs')

/** An id that sorts by time: `20261121T093012345Z-1f0c2a`. */
function newRunId(now: Date): string {
  const time = now.toISOString().replace(/[-:.]/g, '')
  return `${time}-${randomBytes(3).toString('hex')}`
}

/**
 * Makes the folder of a run and its `out` (or takes the reader's own, which must be empty: what an earlier run
 * left there could pass for this one's output). Throws TARGET_CHANGED.
 */
export async function makeRunFolder(
  home: string,
  about: Pick<RunFile, 'name' | 'app' | 'contentHash'>,
  options: { readonly out?: string; readonly now: Date },
): Promise<RunFolder> {
  const out = options.out === undefined ? null : await takeOut(options.out)
  const id = newRunId(options.now)
  await mkdir(runsFolder(home), { recursive: true, mode: 0o700 })
  const path = join(await realpath(runsFolder(home)), id)
  await mkdir(path, { mode: 0o700 })
  if (out === null) await mkdir(join(path, 'out'))
  const file: RunFile = {
    format: 0,
    id,
    ...about,
    startedAt: options.now.toISOString(),
    pid: process.pid,
    pidStart: await processStart(process.pid),
    out,
  }
  await writeFileAtomic(join(path, RUN_FILE), `${JSON.stringify(file)}\n`)
  return { id, path, out: out ?? join(path, 'out') }
}

async function takeOut(folder: string): Promise<string> {
  await mkdir(folder, { recursive: true })
  const found = await readdir(folder)
  if (found.length > 0)
    fail('TARGET_CHANGED', `the output folder "${folder}" is not empty: it holds "${found[0]}"`, {
      hints: ['name another folder, or empty this one'],
    })
  return await realpath(folder)
}

/** When a process began, as the kernel counts; null when there is no such process. */
export async function processStart(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  if (text === null) return null
  return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null
}

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Receipt, receipt } from '../../schemas/index.ts'
import { fail } from '../core/errors.ts'
import {
  isRunId,
  processStart,
  RECEIPT_FILE,
  RUN_FILE,
  type RunFile,
  runFile,
  runsFolder,
} from './run-folder.ts'

/** One run of this home. */
export interface RunSummary {
  readonly id: string
  readonly folder: string
  /** `complete` has a receipt; `running` is under way; `incomplete` was killed, or its receipt cannot be read. */
  readonly state: 'complete' | 'running' | 'incomplete'
  readonly receipt: Receipt | null
  /** What was noted when it began; null when that cannot be read either. */
  readonly begun: RunFile | null
  /** What is wrong with an incomplete one. */
  readonly fault: string | null
}

/** The runs of a home, newest first. Broken ones are listed as `incomplete`. */
export async function listRuns(home: string): Promise<RunSummary[]> {
  const names = await readdir(runsFolder(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  const ids = names.filter(isRunId).sort().reverse()
  return await Promise.all(ids.map(id => readRun(home, id)))
}

/** One run by its id or the beginning of it. Throws NOT_FOUND, and USAGE when several ids begin so. */
export async function findRun(home: string, id: string): Promise<RunSummary> {
  const all = await readdir(runsFolder(home)).catch(() => [])
  const matching = all.filter(name => isRunId(name) && name.startsWith(id))
  if (matching.length > 1)
    fail('USAGE', `"${id}" is the beginning of ${matching.length} runs`, { hints: matching.sort() })
  if (matching.length === 0 || id === '')
    fail('NOT_FOUND', `there is no run "${id}"`, { hints: ['repro runs'] })
  return await readRun(home, matching[0]!)
}

async function readRun(home: string, id: string): Promise<RunSummary> {
  const folder = join(runsFolder(home), id)
  const begun = await readRecord(join(folder, RUN_FILE), runFile)
  const found = await readRecord(join(folder, RECEIPT_FILE), receipt)
  const base = { id, folder, begun: begun.value }
  if (found.value?.id === id)
    return { ...base, state: 'complete', receipt: found.value, fault: null }
  if (begun.value && (await isRunning(begun.value)))
    return { ...base, state: 'running', receipt: null, fault: null }
  const fault = found.fault ?? (found.value ? 'its receipt is of another run' : null)
  return {
    ...base,
    state: 'incomplete',
    receipt: null,
    fault: fault ?? 'it was killed: no receipt',
  }
}

async function isRunning(run: RunFile): Promise<boolean> {
  return run.pidStart !== null && (await processStart(run.pid)) === run.pidStart
}

async function readRecord<T>(
  path: string,
  schema: { safeParse(value: unknown): { success: true; data: T } | { success: false } },
): Promise<{ value: T | null; fault: string | null }> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return { value: null, fault: code === 'ENOENT' ? null : `"${path}" cannot be read` }
  }
  try {
    const parsed = schema.safeParse(JSON.parse(text))
    if (parsed.success) return { value: parsed.data, fault: null }
  } catch (error) {
    return { value: null, fault: `"${path}" is broken: ${(error as Error).message}` }
  }
  return { value: null, fault: `"${path}" is no valid record` }
}

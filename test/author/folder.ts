import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { WorkRecord } from '../../schemas/index.ts'
import { ReproError } from '../../src/core/errors.ts'
import { scratch } from '../helpers/cli.ts'

/** A file's text, a link (`-> target`), or null for an empty folder. */
export type Files = Readonly<Record<string, string | Buffer | null>>

/** An author's folder with these files, gone when the test is finished. Names that begin with `bin/` are executable. */
export function folderOf(files: Files): string {
  const folder = join(scratch(), 'study')
  mkdirSync(folder)
  for (const [path, content] of Object.entries(files)) {
    const full = join(folder, path)
    mkdirSync(dirname(full), { recursive: true })
    if (content === null) mkdirSync(full)
    else if (typeof content === 'string' && content.startsWith('-> '))
      symlinkSync(content.slice(3), full)
    else writeFileSync(full, content)
    if (path.startsWith('bin/')) chmodSync(full, 0o755)
  }
  return folder
}

export interface Done<T> {
  readonly records: readonly WorkRecord[]
  readonly result: T
}

/** Runs a stream of work to its end. */
export async function finish<T>(work: AsyncGenerator<WorkRecord, T>): Promise<Done<T>> {
  const records: WorkRecord[] = []
  for (;;) {
    const step = await work.next()
    if (step.done) return { records, result: step.value }
    records.push(step.value)
  }
}

export interface Fault {
  readonly code: string
  readonly file?: string
  readonly line?: number
  readonly message: string
}

/** What the work is refused for. */
export async function refusalOf(
  work: AsyncGenerator<WorkRecord, unknown>,
): Promise<ReproError & { faults: Fault[] }> {
  try {
    await finish(work)
  } catch (error) {
    if (!(error instanceof ReproError)) throw error
    return Object.assign(error, { faults: (error.data['faults'] ?? []) as Fault[] })
  }
  throw new Error('nothing was refused')
}

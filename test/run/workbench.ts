import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { WorkRecord } from '../../schemas/index.ts'
import type { ReleaseSource } from '../../src/core/release-source.ts'
import type { RunOptions } from '../../src/run/prepare-run.ts'
import { runRelease } from '../../src/run/run.ts'
import type { RunResult } from '../../src/run/run-stage.ts'

export interface Finished extends RunResult {
  readonly records: readonly WorkRecord[]
  readonly stdout: string
  readonly stderr: string
}

/** A home and a cache of a test's own. */
export class Workbench {
  readonly folder = mkdtempSync(join(tmpdir(), 'repro-run-'))
  readonly home = join(this.folder, 'home')
  readonly cache = join(this.folder, 'cache')

  options(more: Partial<RunOptions> = {}): RunOptions {
    return { home: this.home, cache: this.cache, version: '0.0.0-test', cwd: this.folder, ...more }
  }

  async run(
    source: ReleaseSource,
    more: Partial<RunOptions> = {},
    app = 'default',
  ): Promise<Finished> {
    return await finish(runRelease(source, app, this.options(more)))
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

export async function finish(
  work: AsyncGenerator<WorkRecord, RunResult>,
  onRecord: (record: WorkRecord) => void = () => undefined,
): Promise<Finished> {
  const records: WorkRecord[] = []
  for (;;) {
    const step = await work.next()
    if (step.done) {
      const textOf = (action: string) =>
        records.flatMap(r => (r.action === action ? (r.message ?? '') : [])).join('')
      return { ...step.value, records, stdout: textOf('stdout'), stderr: textOf('stderr') }
    }
    records.push(step.value)
    onRecord(step.value)
  }
}

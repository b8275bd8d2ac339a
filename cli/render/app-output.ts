import type { WorkRecord } from '../../schemas/index.ts'
import type { Output } from './output.ts'
import type { TerminalFilter } from './terminal-filter.ts'

/** Passes what an app writes on to our own stdout and stderr: as it is into pipes, made harmless at a terminal. */
export class AppOutput {
  readonly #output: Output
  readonly #filters: Record<'stdout' | 'stderr', TerminalFilter | null>

  constructor(output: Output) {
    this.#output = output
    this.#filters = { stdout: output.filterFor('stdout'), stderr: output.filterFor('stderr') }
  }

  /** True when the record was output of the app. */
  async take(record: WorkRecord): Promise<boolean> {
    if (record.action !== 'stdout' && record.action !== 'stderr') return false
    const chunk = chunkOf(record)
    const filter = this.#filters[record.action]
    await this.#output.pass(record.action, filter ? filter.push(chunk) : chunk)
    return true
  }

  /** Lets out what a filter still holds. */
  async close(): Promise<void> {
    for (const stream of ['stdout', 'stderr'] as const)
      await this.#output.pass(stream, this.#filters[stream]?.end() ?? '')
  }
}

/** The bytes an app wrote, as a record carries them. */
export function chunkOf(record: WorkRecord): Uint8Array {
  const bytes = record.data?.['bytes']
  return bytes instanceof Uint8Array ? bytes : Buffer.from(record.message ?? '')
}

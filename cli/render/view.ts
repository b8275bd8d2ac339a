import type { WorkRecord } from '../../schemas/index.ts'

/** One rendering of a stream of work: JSON lines, plain lines, or the live view at a terminal. */
export interface View {
  take(record: WorkRecord): Promise<void> | void
  /** Everything is out; the terminal is as it was. `failed`: what was going on did not come to its end. */
  close(failed?: boolean): Promise<void>
}

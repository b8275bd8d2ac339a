import type { RuntimeName, RuntimeReport } from '../../schemas/index.ts'
import type { CommandLine, RunSpec } from '../../src/runtime/types.ts'
import type { ProcessEnd } from '../../src/system/running-process.ts'

export interface DriverJob {
  readonly adapter: RuntimeName
  /** Null: probe first. */
  readonly report: RuntimeReport | null
  /** Null: only probe. */
  readonly spec: RunSpec | null
  readonly scratch: string
  readonly storage: string
  /** Stop the run when this was printed. */
  readonly stopOn?: string
  readonly graceMs?: number
  /** Read stdout slowly. */
  readonly slow?: boolean
}

export interface DriverResult {
  readonly report: RuntimeReport
  readonly line?: CommandLine
  readonly end?: ProcessEnd
  readonly stdout?: string
  readonly stderr?: string
  readonly bytes?: number
  readonly sha256?: string
}

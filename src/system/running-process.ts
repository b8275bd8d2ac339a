import type { Readable } from 'node:stream'

/** How a started process ended. */
export interface ProcessEnd {
  /** The app was executed, or its command was looked for and not found (exit code 126 or 127). */
  readonly started: boolean
  /** The runtime failed, not the app: nothing of the app has run, or its result is unknown. */
  readonly runtimeFailed: boolean
  /** The app's exit code; 128 + n when signal n ended it; null when the runtime failed. */
  readonly exitCode: number | null
  /** The signal that ended the app, as far as the exit code tells (an app may exit with 137 by itself). */
  readonly signal: NodeJS.Signals | null
  /** `stop` was called, or the AbortSignal fired. */
  readonly stopped: boolean
  /** The last 8 KiB of stderr, for classifying a failure. */
  readonly stderrTail: string
  /** Highest sampled memory of the process tree; null where it cannot be seen. */
  readonly peakMemoryBytes: number | null
  readonly durationMs: number
}

export interface RunningProcess {
  readonly pid: number | null
  /** Both must be read (or resumed): a full pipe stops the app. */
  readonly stdout: Readable
  readonly stderr: Readable
  /** Settles when the app was executed (true) or the process ended before (false). Never rejects. */
  readonly started: Promise<boolean>
  /** Settles when the process has ended, its output is closed and nothing of its tree is left. Never rejects. */
  readonly end: Promise<ProcessEnd>
  /** SIGTERM to the whole tree, SIGKILL after the grace time, then the cleanup commands. Safe to call twice. */
  stop(graceMs?: number): Promise<ProcessEnd>
}

export interface StartOptions {
  /** Value of `REPRO_RUN_ID` in the app's environment: processes that carry it are ended with the run. */
  readonly runId?: string
  /** Aborting is the same as `stop()`. */
  readonly signal?: AbortSignal
  /** Time between SIGTERM and SIGKILL; 5 s when not given. */
  readonly graceMs?: number
}

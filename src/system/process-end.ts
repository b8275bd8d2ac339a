import { stat } from 'node:fs/promises'
import { constants } from 'node:os'
import type { Launch } from './launch.ts'
import type { ProcessEnd } from './running-process.ts'

export interface RawEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The process could not be spawned. */
  readonly error?: NodeJS.ErrnoException
  /** What came on the status file descriptor. */
  readonly status: string
  readonly stderrTail: string
  readonly stopped: boolean
}

type Meaning = Pick<ProcessEnd, 'started' | 'runtimeFailed' | 'exitCode' | 'signal'>

const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals).map(([name, number]) => [number, name as NodeJS.Signals]),
)

/** Tells an app that failed from a runtime that failed, and gives both one meaning of exit codes. */
export async function readEnd(launch: Launch, raw: RawEnd): Promise<Meaning> {
  if (raw.error) return unspawned(launch, raw.error)
  const own = raw.code ?? 128 + (constants.signals[raw.signal!] ?? 0)
  const failure = launch.commandFailures.find(
    known => known.exitCode === own && new RegExp(known.stderr, 'm').test(raw.stderrTail),
  )
  const status = launch.started.kind === 'json-status' ? parseStatus(raw.status) : null
  const started = failure !== undefined || (await hasStarted(launch, raw, status))
  const exitCode = failure?.means ?? status?.exitCode ?? own
  const runtimeFailed =
    !started ||
    (failure === undefined && launch.runtimeExitCodes.includes(exitCode) && !raw.stopped)
  if (runtimeFailed) return { started, runtimeFailed, exitCode: null, signal: null }
  return {
    started,
    runtimeFailed,
    exitCode,
    signal: raw.signal ?? (exitCode > 128 ? (SIGNAL_NAMES.get(exitCode - 128) ?? null) : null),
  }
}

function unspawned(launch: Launch, error: NodeJS.ErrnoException): Meaning {
  const means = error.code === 'ENOENT' ? 127 : error.code === 'EACCES' ? 126 : null
  return launch.started.kind === 'spawn' && means !== null
    ? { started: true, runtimeFailed: false, exitCode: means, signal: null }
    : { started: false, runtimeFailed: true, exitCode: null, signal: null }
}

async function hasStarted(
  launch: Launch,
  raw: RawEnd,
  status: ReturnType<typeof parseStatus> | null,
): Promise<boolean> {
  switch (launch.started.kind) {
    case 'spawn':
      return true
    case 'byte':
      return raw.status.length > 0
    case 'file':
      return await stat(launch.started.path).then(
        s => s.size > 0,
        () => false,
      )
    case 'json-status':
      // bubblewrap writes the child's pid before it has set everything up, and the exit code only if it had.
      return (
        status!.exitCode !== undefined || ((raw.stopped || raw.signal !== null) && status!.child)
      )
  }
}

function parseStatus(text: string): { child: boolean; exitCode?: number } {
  let child = false
  for (const line of text.split('\n')) {
    const exit = /"exit-code"\s*:\s*(\d+)/.exec(line)
    if (exit) return { child, exitCode: Number(exit[1]) }
    child ||= line.includes('"child-pid"')
  }
  return { child }
}

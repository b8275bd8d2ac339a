import { execa } from 'execa'

/** The one door to other programs for short commands; `run/execute` uses `startProcess` for apps. */
export interface CommandResult {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
  /** True when the program could not be started at all. */
  readonly missing: boolean
  readonly timedOut: boolean
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly input?: string | Uint8Array
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

const MAX_OUTPUT_BYTES = 16 << 20

/**
 * Runs a program to its end with exactly the environment given (none of ours leaks in) and collects its output.
 * Never throws for what the program does: look at `code`, `missing` and `timedOut`.
 */
export async function runCommand(
  argv: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await execa(argv[0]!, argv.slice(1), {
    env: options.env ?? { PATH: process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin' },
    extendEnv: false,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: MAX_OUTPUT_BYTES,
    killSignal: 'SIGKILL',
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.timeoutMs === undefined ? {} : { timeout: options.timeoutMs }),
    ...(options.signal === undefined ? {} : { cancelSignal: options.signal }),
  })
  return {
    code: result.exitCode ?? null,
    signal: result.signal ?? null,
    stdout: String(result.stdout ?? ''),
    stderr: String(result.stderr ?? ''),
    missing: result.code === 'ENOENT' || result.code === 'EACCES',
    timedOut: result.timedOut,
  }
}

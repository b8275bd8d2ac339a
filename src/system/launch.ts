/** How the spawner learns that the app itself was started: exit codes alone do not tell. */
type StartSignal =
  /** The runtime writes bubblewrap's JSON status to this file descriptor. */
  | { readonly kind: 'json-status'; readonly fd: number }
  /** A byte arrives on this file descriptor just before the app is executed. */
  | { readonly kind: 'byte'; readonly fd: number }
  /** This file exists, and is not empty, once the app has been started. */
  | { readonly kind: 'file'; readonly path: string }
  /** The command is executed directly: it has started when it could be spawned. */
  | { readonly kind: 'spawn' }

/** How a runtime says that the app's command does not exist (127) or cannot be executed (126). */
interface CommandFailure {
  readonly exitCode: number
  /** Source of a regular expression for one line of stderr. */
  readonly stderr: string
  readonly means: 126 | 127
}

/** Everything `startProcess` needs: plain data. */
export interface Launch {
  readonly argv: readonly string[]
  /** The whole environment of the process; nothing of ours is added. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  /** Private folders that are made (0700, with parents) before the start when they are missing. */
  readonly folders: readonly string[]
  readonly started: StartSignal
  /** What the process reads from file descriptors of its own, beside stdin, which is empty. */
  readonly contents?: readonly { readonly fd: number; readonly base64: string }[]
  /** Exit codes that mean the runtime failed although it signalled a start (podman's 125). */
  readonly runtimeExitCodes: readonly number[]
  readonly commandFailures: readonly CommandFailure[]
  /** Commands that end whatever the run may have left behind; harmless when nothing is left. */
  readonly cleanup: readonly (readonly string[])[]
}

import type { Fidelity, RuntimeName, RuntimeReport } from '../../schemas/index.ts'

/** Where the bundle appears inside of every image; also the working directory. */
export const INSIDE = '/repro/bundle'

/** One file or folder of the host that the app sees, read-only. */
export interface ReadOnlyMount {
  readonly host: string
  readonly inside: string
}

/**
 * One command in one rootfs: plain data, complete. An adapter turns it into a command line and decides nothing else.
 * All host paths are absolute and real (no links).
 */
export interface RunSpec {
  /** Unique; names containers and marks processes (`REPRO_RUN_ID`). */
  readonly id: string
  /** The unpacked image; null runs on the host itself. Has the mount points of `MOUNT_POINTS` (image room). */
  readonly rootfs: string | null
  /** Folder with the app's inputs. Appears read-only at `insideBundle`. */
  readonly bundle: string
  /** `/repro/bundle`, or for the `host` runtime the folder on the host that holds a copy. */
  readonly insideBundle: string
  /** Writable folder for outputs: on the host, and where it appears (below `insideBundle`). */
  readonly out: { readonly host: string; readonly inside: string }
  /** The reader's own data given as `file` and `folder` parameters. */
  readonly mounts: readonly ReadOnlyMount[]
  readonly command: readonly string[]
  /** The whole environment of the app; nothing of the caller's is added. */
  readonly env: Readonly<Record<string, string>>
  readonly network: 'none' | 'host'
  readonly uid: number
  readonly gid: number
  readonly limits: { readonly cpus?: number; readonly memoryBytes?: number }
  /** Private folder of this run for what a runtime needs to keep (status files, container state). */
  readonly scratch: string
}

/** How the spawner learns that the app itself was started (runtimes.md §3: exit codes alone do not tell). */
export type StartSignal =
  /** The runtime writes bubblewrap's JSON status to this file descriptor. */
  | { readonly kind: 'json-status'; readonly fd: number }
  /** A byte arrives on this file descriptor just before the app is executed. */
  | { readonly kind: 'byte'; readonly fd: number }
  /** This file exists once the container has been created. */
  | { readonly kind: 'file'; readonly path: string }
  /** The command is executed directly: it has started when it could be spawned. */
  | { readonly kind: 'spawn' }

export interface CommandLine {
  readonly argv: readonly string[]
  /** The whole environment of the runtime's own process. */
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly started: StartSignal
  /** Exit codes that mean the runtime failed although it signalled a start (podman's 125). */
  readonly runtimeExitCodes: readonly number[]
  /** Commands that end whatever the run may have left behind; harmless when nothing is left. */
  readonly cleanup: readonly (readonly string[])[]
  /** Which of the limits in `RunSpec.limits` this command line enforces, and by what. */
  readonly enforces: { readonly cpus?: string; readonly memory?: string }
}

/** What a runtime can give, as data: choice and receipts read it, never the name. */
export interface Abilities {
  readonly image: boolean
  readonly inputsReadOnly: boolean
  readonly networkOff: boolean
  readonly pidNamespace: boolean
  readonly limits: { readonly cpus: boolean; readonly memory: boolean }
  readonly needsRoot: boolean
}

export interface ProbeContext {
  readonly uid: number
  readonly gid: number
  /** A private folder that the probe may write to. */
  readonly scratch: string
  readonly signal?: AbortSignal
}

export interface RuntimeAdapter {
  readonly name: RuntimeName
  readonly fidelity: Fidelity
  readonly abilities: Abilities
  /** Really starts something. Never throws for a runtime that does not work: says why in the report. */
  probe(context: ProbeContext): Promise<RuntimeReport>
  /** Pure: the same spec and report give the same command line. */
  commandLine(spec: RunSpec, report: RuntimeReport): CommandLine
}

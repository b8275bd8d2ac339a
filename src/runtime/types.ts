import type { Fidelity, RuntimeName, RuntimeReport } from '../../schemas/index.ts'
import type { Launch } from '../system/launch.ts'

/**
 * One file or folder of the host that the app sees, read-only. `inside` is below `/repro` (a tmpfs, so that mount
 * points can be made there) and not below the bundle; the `host` runtime mounts nothing, so there `inside` is `host`.
 */
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
  /** The unpacked image; null runs on the host itself. Has the folders of `MOUNT_POINTS` (core). */
  readonly rootfs: string | null
  /** Folder with the app's inputs. Appears read-only at `insideBundle`. */
  readonly bundle: string
  /** `/repro/bundle`, or for the `host` runtime the folder on the host that holds a copy. */
  readonly insideBundle: string
  /**
   * Writable folder for outputs: on the host, and where it appears (below `insideBundle`).
   * An empty folder of that name must exist in `bundle`, as the mount point.
   */
  readonly out: { readonly host: string; readonly inside: string }
  /** The reader's own data given as `file` and `folder` parameters. */
  readonly mounts: readonly ReadOnlyMount[]
  readonly command: readonly string[]
  /**
   * The whole environment of the app, with PATH, HOME (`/tmp`) and `REPRO_RUN_ID`; adapters add only PWD and
   * (in images) HOSTNAME.
   * Nothing of the caller's is added.
   */
  readonly env: Readonly<Record<string, string>>
  readonly network: 'none' | 'host'
  readonly uid: number
  readonly gid: number
  readonly limits: { readonly cpus?: number; readonly memoryBytes?: number }
  /**
   * Private folder of this run for what a runtime needs to keep (status files, container state);
   * `<scratch>/tmp` is the app's `/tmp`. Removed by the caller after the run.
   */
  readonly scratch: string
}

/** A `Launch` for `startProcess`, and what it enforces. */
export interface CommandLine extends Launch {
  /** Which of the limits in `RunSpec.limits` this command line enforces, and by what. */
  readonly enforces: { readonly cpus?: string; readonly memory?: string }
}

/** What a runtime can give, as data: choice and receipts read it, never the name. */
interface Abilities {
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
  /** A private folder that the probe may write to; removed afterwards. */
  readonly scratch: string
  /** A private folder that stays, for a runtime that needs storage of its own. */
  readonly storage: string
  readonly signal?: AbortSignal
}

export interface RuntimeAdapter {
  readonly name: RuntimeName
  /** Raised with every change of `probe` or `commandLine`, so that cached probes are not taken for current. */
  readonly version: number
  /** The program it is found by; null when the host itself is the runtime. */
  readonly program: string | null
  readonly fidelity: Fidelity
  readonly abilities: Abilities
  /** Really starts something. Never throws for a runtime that does not work: says why in the report. */
  probe(context: ProbeContext): Promise<RuntimeReport>
  /** Pure: the same spec and report give the same command line. */
  commandLine(spec: RunSpec, report: RuntimeReport): CommandLine
}

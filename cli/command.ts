import type { Command } from 'commander'
import type { WorkRecord } from '../schemas/index.ts'
import type { ExitCode } from '../src/core/exit-codes.ts'
import type { Settings } from '../src/core/settings.ts'
import type { Output } from './render/output.ts'

/** What a command is given to do its work with. */
export interface CommandContext {
  readonly output: Output
  /** Aborted by Ctrl-C, by SIGTERM, and when nobody reads our output any more. */
  readonly signal: AbortSignal
  readonly version: string
  /** Flags, environment and config files laid over each other. Throws CONFIG_INVALID. */
  settings(): Promise<Settings>
  /** Renders the records of `work` as they come, and gives its result. */
  follow<T>(work: AsyncGenerator<WorkRecord, T>, how?: FollowOptions): Promise<T>
}

export interface FollowOptions {
  /** Long work: at a terminal it gets the live view. */
  readonly live?: boolean
  /** The command says all of it in its result: of the way there, only progress is shown. */
  readonly resultSaysAll?: boolean
  /** Prints one thing of a listing (`entry` records); with `--json` the record itself is printed instead. */
  readonly onEntry?: (record: WorkRecord) => void
}

/** What was typed after the verb. */
export interface Invocation<Flags> {
  readonly args: readonly string[]
  readonly flags: Flags
  /** What stood after `--`, for commands that pass it on. */
  readonly extra: readonly string[]
}

export interface CommandSpec<Flags = never> {
  /** The exit codes it can end with, for its help. */
  readonly exitCodes: readonly ExitCode[]
  /** Lines to type, for its help. */
  readonly examples: readonly string[]
  /** True when all it does is to show something: a reader that has seen enough of it is no failure. */
  readonly onlyShows?: boolean
  /** True when `-- extra arguments` are passed on. */
  readonly passesExtra?: boolean
  /** Declares its arguments and options. */
  configure(command: Command): void
  run(invocation: Invocation<Flags>, context: CommandContext): Promise<ExitCode>
}

/** Types a command's flags where it is written; the table of verbs does not look at them. */
export function defineCommand<Flags>(spec: CommandSpec<Flags>): CommandSpec {
  return spec as unknown as CommandSpec
}
